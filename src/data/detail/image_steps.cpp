#include "data/detail/image_steps.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <system_error>

#include "base/error.hpp"
#include "base/span.hpp"
#include "config/messages.hpp"
#include "config/word_in_value.hpp"

namespace switchyard::data::detail {
namespace {

constexpr index_t largest_side = 16384;
constexpr index_t largest_kernel = 255;

// A word that a key takes, and how it is written.
template <class Kind>
struct StepWord {
  Kind kind;
  std::string_view name;
  std::string_view form;
};
template <class Kind>
StepWord(Kind, std::string_view, std::string_view) -> StepWord<Kind>;  // clang++ 14 cannot tell by itself

enum class Derived { rotated };
constexpr std::array derive_words = {
    StepWord{Derived::rotated, "rotated", "rotated:DEGREES, such as rotated:30"}};
constexpr std::array prepare_words = {
    StepWord{PrepareStep::Kind::rotate, "rotate", "rotate:DEGREES, such as rotate:30"},
    StepWord{PrepareStep::Kind::centre_crop, "centre_crop", "centre_crop:N or centre_crop:HEIGHTxWIDTH"},
    StepWord{PrepareStep::Kind::resize, "resize", "resize:N or resize:HEIGHTxWIDTH"}};
constexpr std::array augment_words = {
    StepWord{AugmentStep::Kind::flip, "flip", "flip"},
    StepWord{AugmentStep::Kind::crop, "crop", "crop:N, the pixels of padding, such as crop:4"},
    StepWord{AugmentStep::Kind::blur, "blur", "blur:WIDTHxHEIGHT:A:B, such as blur:3x7:1.1:2.2"},
    StepWord{AugmentStep::Kind::rotate, "rotate", "rotate:DEGREES, such as rotate:10"}};

// The key that a word is of, for those who write it into another one; empty: it is of none.
template <class Words>
bool has_word(const Words& words, std::string_view name) {
  return std::ranges::any_of(words, [&](const auto& word) { return word.name == name; });
}
std::string_view key_of(std::string_view name) {
  if (has_word(derive_words, name)) return "data.derive";
  if (has_word(prepare_words, name)) return "data.prepare";
  return has_word(augment_words, name) ? "data.augment" : "";
}

// A step's text, such as "resize:32".
struct Token : config::WordInValue {
  std::string_view key;  // "data.prepare"
  std::string_view form = {};

  [[noreturn]] void reject(std::string_view why, std::string_view try_this) const {
    WordInValue::reject(key, "word", why, try_this);
  }
  [[noreturn]] void reject(std::string_view why) const { reject(why, fmt::format("write {}", form)); }
};

// What stands between the colons behind a word's name.
std::vector<std::string_view> values_of(const Token& token, std::size_t count) {
  std::vector<std::string_view> values;
  for (std::size_t colon = token.text.find(':'); colon != token.text.npos;) {
    const std::size_t next = token.text.find(':', colon + 1);
    values.push_back(token.text.substr(colon + 1, next == token.text.npos ? next : next - colon - 1));
    colon = next;
  }
  if (values.size() != count) {
    token.reject(fmt::format("has {} {} behind its name and takes {}", values.size(),
                             values.size() == 1 ? "value" : "values", count));
  }
  return values;
}

template <class Number>
Number number_of(const Token& token, std::string_view text, Number least, Number most, std::string_view what) {
  Number number{};
  const auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_number = error == std::errc() && stopped == text.data() + text.size();
  if (!is_number && error != std::errc::result_out_of_range)
    token.reject(fmt::format("has {} for {}", config::in_quotes(text), what));
  if (!is_number || !(number >= least && number <= most))
    token.reject(fmt::format("has {} for {} ({} to {} are taken)", config::in_quotes(text), what, least, most));
  return number;
}

struct Sides {
  index_t first, second;
};

// "7x3", or "5" where that is both.
enum class Both { may_be_one, are_two };
Sides sides_of(const Token& token, std::string_view text, Both both, index_t most) {
  const std::size_t times = text.find('x');
  if (times == text.npos) {
    if (both == Both::are_two) token.reject(fmt::format("has {} for two sides", config::in_quotes(text)));
    const index_t side = number_of<index_t>(token, text, 1, most, "a number of pixels");
    return {side, side};
  }
  return {number_of<index_t>(token, text.substr(0, times), 1, most, "a number of pixels"),
          number_of<index_t>(token, text.substr(times + 1), 1, most, "a number of pixels")};
}

double degrees_of(const Token& token, std::string_view text, double least, double most) {
  return number_of<double>(token, text, least, most, "an angle in degrees");
}

// Calls read(token, kind) for each word of the text in turn.
template <class Kind, std::size_t count, class Read>
void for_each_word(std::string_view key, std::string_view text, const std::array<StepWord<Kind>, count>& words,
                   const Read& read) {
  std::vector<std::string_view> names(count);
  std::ranges::transform(words, names.begin(), &StepWord<Kind>::name);
  std::vector<Token> tokens;
  for (const config::WordInValue& word : config::words_in(text)) tokens.push_back({word, key});
  if (tokens.empty()) {
    throw ConfigError(fmt::format("{} is empty (it says what is done to images); write none, or {}", key,
                                  words.front().form));
  }
  if (tokens.size() == 1 && tokens.front().text == "none") return;
  for (Token& token : tokens) {
    const std::string_view name = token.text.substr(0, token.text.find(':'));
    if (name == "none") token.reject("stands beside other words", "write none alone, or leave it out");
    const auto word = std::ranges::find(words, name, &StepWord<Kind>::name);
    if (word == words.end()) {
      const std::string_view nearest = config::nearest(name, names), other = key_of(name);
      const bool is_misspelt = other.empty() || nearest.starts_with(name) || name.starts_with(nearest);
      token.reject(fmt::format("is nothing that {} does", key),
                   is_misspelt ? fmt::format("did you mean '{}'? {} {}", nearest,
                                             count == 1 ? "the word is" : "words are", config::one_of(names))
                               : fmt::format("{0} does: write {0} = {1}", other, token.text));
    }
    token.form = word->form;
    read(token, word->kind);
  }
}

void read_blur(const Token& token, AugmentStep& step) {
  const std::vector<std::string_view> values = values_of(token, 3);
  const Sides kernel = sides_of(token, values[0], Both::are_two, largest_kernel);
  if (kernel.first % 2 == 0 || kernel.second % 2 == 0)
    token.reject("has a kernel with an even side, which has no middle", "write odd sides, such as 3x7");
  step.width = kernel.first;
  step.height = kernel.second;
  constexpr double least = 1e-3, most = 1e3;
  step.least_sigma = number_of<double>(token, values[1], least, most, "a sigma in pixels");
  step.most_sigma = number_of<double>(token, values[2], least, most, "a sigma in pixels");
  if (step.most_sigma < step.least_sigma)
    token.reject(fmt::format("draws sigma from {} to {}, which is downwards", values[1], values[2]),
                 "write the smaller one first");
}

}  // namespace

std::optional<double> parse_derive(std::string_view text) {
  std::optional<double> degrees;
  for_each_word("data.derive", text, derive_words, [&](const Token& token, Derived /*kind*/) {
    if (degrees) token.reject("is a second one (the labels tell two copies apart)", "leave one of them out");
    degrees = degrees_of(token, values_of(token, 1)[0], -360, 360);
    if (std::fmod(*degrees, 360) == 0)
      token.reject("turns nothing (both copies of an image would be alike)", "write another angle");
  });
  return degrees;
}

std::vector<PrepareStep> parse_prepare(std::string_view text) {
  std::vector<PrepareStep> steps;
  for_each_word("data.prepare", text, prepare_words, [&](const Token& token, PrepareStep::Kind kind) {
    PrepareStep step{kind, std::string(token.text)};
    const std::string_view value = values_of(token, 1)[0];
    switch (kind) {
      case PrepareStep::Kind::rotate:
        step.degrees = degrees_of(token, value, -360, 360);
        break;
      case PrepareStep::Kind::centre_crop:
      case PrepareStep::Kind::resize: {
        const Sides sides = sides_of(token, value, Both::may_be_one, largest_side);
        step.height = sides.first;
        step.width = sides.second;
        break;
      }
    }
    steps.push_back(std::move(step));
  });
  return steps;
}

std::vector<AugmentStep> parse_augment(std::string_view text) {
  std::vector<AugmentStep> steps;
  for_each_word("data.augment", text, augment_words, [&](const Token& token, AugmentStep::Kind kind) {
    if (std::ranges::find(steps, kind, &AugmentStep::kind) != steps.end())
      token.reject("stands there for a second time (what is drawn is drawn once)", "leave one of them out");
    AugmentStep step{kind, std::string(token.text)};
    switch (kind) {
      case AugmentStep::Kind::flip:
        values_of(token, 0);
        break;
      case AugmentStep::Kind::crop:
        step.padding = number_of<index_t>(token, values_of(token, 1)[0], 1, largest_side, "a number of pixels");
        break;
      case AugmentStep::Kind::blur:
        read_blur(token, step);
        break;
      case AugmentStep::Kind::rotate:
        step.degrees = degrees_of(token, values_of(token, 1)[0], 0, 180);
        if (step.degrees == 0) token.reject("turns nothing", "write another angle, or leave it out");
        break;
    }
    steps.push_back(std::move(step));
  });
  return steps;
}

}  // namespace switchyard::data::detail
