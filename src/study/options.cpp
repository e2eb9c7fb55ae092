#include "study/options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <charconv>
#include <sstream>

#include "base/error.hpp"
#include "base/lines.hpp"
#include "config/messages.hpp"

namespace switchyard::study {
namespace {

constexpr std::int64_t largest_count = 1'000'000;

constexpr std::array table = {
    Field{"dir", Text{&Options::dir}, "the study's folder; required"},
    Field{"seeds", Whole{&Options::seeds, 1, largest_count}, "runs per arm, with its selected values"},
    Field{"first_seed", Whole{&Options::first_seed, 0, 1'000'000'000}, "seeds are this one and those after it"},
    Field{"ranks_per_run", Whole{&Options::ranks_per_run, 1, largest_count},
          "ranks of one run; the ranks of the launch are cut into groups of that size"},
    Field{"selection_seeds", Whole{&Options::selection_seeds, 1, largest_count},
          "runs per combination of values, in arms with more than one"},
    Field{"selection_epochs", Whole{&Options::selection_epochs, 0, 1'000'000'000},
          "train.epochs of these runs; 0: as the final ones"},
    Field{"select_by", Text{&Options::select_by},
          "a path into summary.json; the combination with the smallest mean wins"},
    Field{"arms", Words{&Options::arms}, "only these of the file's arms, and in tables too; empty: all"},
    Field{"metrics", Words{&Options::metrics},
          "paths into summary.json; X.accuracy_percent stands for 100 (1 - X.error)"},
    Field{"baseline", Text{&Options::baseline},
          "the arm from which differences of the others are taken, by seed; empty: none"},
    Field{"keep_checkpoints", YesNo{&Options::keep_checkpoints},
          "no: of a finished run the best one alone stays, once no later arm (after) may need the last"},
    Field{"published", Text{&Options::published},
          "a file of arm,metric,step,value,std, beside the study file; empty: none"},
    Field{"quick", YesNo{&Options::quick}, "yes: the keys of [quick] replace those of [study] and [all]"},
};

std::string name_of(const Field& field) { return fmt::format("study.{}", field.key); }

struct Setter {
  Options& options;
  const Field& field;
  std::string_view text;
  std::string_view where;

  [[noreturn]] void reject(std::string_view why) const {
    throw ConfigError(fmt::format("{} = {} {} ({}); allowed: {}", name_of(field), config::in_quotes(text), why,
                                  where, describe_values(field)));
  }
  void operator()(const Whole& type) const {
    std::int64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, value);
    if (error == std::errc::invalid_argument || stopped != end) reject("is not a whole number");
    if (error == std::errc::result_out_of_range || value < type.min || value > type.max)
      reject("is out of range");
    options.*type.member = value;
  }
  void operator()(const Text& type) const { options.*type.member = text; }
  void operator()(const Words& type) const { options.*type.member = words_of(text); }
  void operator()(const YesNo& type) const {
    if (text != "yes" && text != "no") reject("is none of its values");
    options.*type.member = text == "yes";
  }
};

struct Describer {
  std::string operator()(const Whole& type) const {
    return fmt::format("whole number from {} to {}", type.min, type.max);
  }
  std::string operator()(const Text&) const { return "text without '#'"; }
  std::string operator()(const Words&) const { return "words with spaces between"; }
  std::string operator()(const YesNo&) const { return "yes or no"; }
};

struct Printer {
  const Options& options;

  std::string operator()(const Whole& type) const { return fmt::format("{}", options.*type.member); }
  std::string operator()(const Text& type) const { return options.*type.member; }
  std::string operator()(const Words& type) const {
    return fmt::format("{}", fmt::join(options.*type.member, " "));
  }
  std::string operator()(const YesNo& type) const { return options.*type.member ? "yes" : "no"; }
};

}  // namespace

std::span<const Field> fields() { return table; }

std::vector<std::string> known_keys() {
  std::vector<std::string> keys;
  for (const Field& field : table) keys.push_back(name_of(field));
  return keys;
}

const Field& find_field(std::string_view name, std::string_view where) {
  for (const Field& field : table) {
    if (name_of(field) == name) return field;
  }
  const std::vector<std::string> keys = known_keys();
  const std::vector<std::string_view> candidates(keys.begin(), keys.end());
  throw ConfigError(
      fmt::format("unknown key {} ({}); did you mean '{}'? 'switchyard study --help' lists all keys",
                  config::in_quotes(name), where, config::nearest(name, candidates)));
}

void set(Options& options, std::string_view name, std::string_view text, std::string_view where) {
  const Field& field = find_field(name, where);
  std::visit(Setter{options, field, text, where}, field.type);
}

std::string describe_values(const Field& field) { return std::visit(Describer{}, field.type); }

std::string describe_default(const Field& field) {
  const Options standard;
  return std::visit(Printer{standard}, field.type);
}

std::vector<std::string> words_of(std::string_view text) {
  std::istringstream stream{std::string(text)};
  throw_what_fails(stream);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

}  // namespace switchyard::study
