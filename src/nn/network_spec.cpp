#include "nn/network_spec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

#include "base/error.hpp"
#include "config/messages.hpp"

namespace switchyard::nn {
namespace {

using Kind = LayerSpec::Kind;

constexpr index_t largest_outputs = 1'000'000'000;  // as config::largest_count
constexpr std::string_view spaces = " \t";

struct KindWord {
  Kind kind;
  std::string_view name;
  std::string_view outputs;  // what the number after ':' counts; empty: takes none
};

constexpr std::array kind_words = {KindWord{Kind::conv, "conv", "channels"},
                                   KindWord{Kind::padded_conv, "padded_conv", "channels"},
                                   KindWord{Kind::batch_norm, "batch_norm", ""},
                                   KindWord{Kind::relu, "relu", ""},
                                   KindWord{Kind::max_pool, "max_pool", ""},
                                   KindWord{Kind::dense, "dense", "units"},
                                   KindWord{Kind::patch_filters, "patch_filters", "filters"},
                                   KindWord{Kind::bias, "bias", ""},
                                   KindWord{Kind::cubic, "cubic", ""},
                                   KindWord{Kind::celu, "celu", ""},
                                   KindWord{Kind::gelu, "gelu", ""},
                                   KindWord{Kind::tanh, "tanh", ""},
                                   KindWord{Kind::sum, "sum", "outputs"}};

std::vector<KindWord> words_with(Span<const GateEnd> ends) {
  std::vector<KindWord> words(kind_words.begin(), kind_words.end());
  for (const GateEnd& end : ends) words.push_back({Kind::gate_end, end.word, "outputs"});
  return words;
}

std::string_view key_of(NetworkRole role) { return role == NetworkRole::gate ? "model.gate" : "model.expert"; }

// What the last dense layer is written with.
std::string_view outputs_word(NetworkRole role) {
  if (role == NetworkRole::gate) return "experts";
  return role == NetworkRole::expert ? "classes" : "width";
}

// As messages call what a text describes.
std::string_view network_of(NetworkRole role) {
  if (role == NetworkRole::gate) return "a gate";
  return role == NetworkRole::expert ? "an expert of model.family = mixture"
                                     : "an expert of model.family = tokens";
}

bool names_outputs_of_another(NetworkRole role, std::string_view word) {
  constexpr std::array words = {"experts", "classes", "width"};
  return word != outputs_word(role) && std::ranges::find(words, word) != words.end();
}

// One layer's text and where it stands, for messages.
struct Token {
  std::string_view text;   // "conv:8"
  std::string_view whole;  // the network's text
  NetworkRole role;
  std::size_t position;  // from 1
  bool is_last = false;

  [[noreturn]] void reject(std::string_view why, std::string_view try_this) const {
    throw ConfigError(fmt::format("{}: layer {} {} {} (column {} of {}); {}", key_of(role), position,
                                  config::in_quotes(text), why, text.data() - whole.data() + 1,
                                  config::in_quotes(whole), try_this));
  }
};

std::vector<Token> split(std::string_view whole, NetworkRole role) {
  std::vector<Token> tokens;
  for (std::size_t start = whole.find_first_not_of(spaces); start != whole.npos;) {
    const std::size_t end = std::min(whole.find_first_of(spaces, start), whole.size());
    tokens.push_back({whole.substr(start, end - start), whole, role, tokens.size() + 1});
    start = whole.find_first_not_of(spaces, end);
  }
  if (!tokens.empty()) tokens.back().is_last = true;
  return tokens;
}

index_t parse_outputs(const Token& token, const KindWord& word, std::string_view count) {
  std::string capitals(word.outputs);
  std::ranges::transform(capitals, capitals.begin(), [](char c) { return static_cast<char>(c - 'a' + 'A'); });
  if (word.kind == Kind::gate_end && token.role != NetworkRole::gate) {
    token.reject("is a layer of gates", fmt::format("end an expert with dense:{}", outputs_word(token.role)));
  }
  const bool names_outputs = word.kind == Kind::sum || word.kind == Kind::gate_end;
  if ((names_outputs || word.kind == Kind::dense) && count == outputs_word(token.role))
    return LayerSpec::from_task;
  if (names_outputs) {
    token.reject("does not name the outputs", fmt::format("write {}:{}", word.name, outputs_word(token.role)));
  }
  if (token.is_last && word.kind == Kind::dense && names_outputs_of_another(token.role, count)) {
    token.reject(fmt::format("is not how {} ends", network_of(token.role)),
                 fmt::format("write dense:{}", outputs_word(token.role)));
  }
  const std::string try_this =
      fmt::format("write {}:{}, a whole number from 1 to {}", word.name, capitals, largest_outputs);
  if (count.empty()) token.reject(fmt::format("says no number of {}", word.outputs), try_this);
  index_t outputs = 0;
  const char* end = count.data() + count.size();
  const auto [stopped, error] = std::from_chars(count.data(), end, outputs);
  if (error == std::errc::invalid_argument || stopped != end) {
    token.reject(fmt::format("has {} for a number of {}", config::in_quotes(count), word.outputs), try_this);
  }
  if (error == std::errc::result_out_of_range || outputs < 1 || outputs > largest_outputs) {
    token.reject(fmt::format("has {} {}", count, word.outputs), try_this);
  }
  return outputs;
}

LayerSpec parse_layer(const Token& token, const std::vector<KindWord>& words) {
  const std::size_t colon = token.text.find(':');
  const std::string_view name = token.text.substr(0, colon);
  const auto word = std::ranges::find(words, name, &KindWord::name);
  if (word == words.end()) {
    std::vector<std::string_view> names(words.size());
    std::ranges::transform(words, names.begin(), &KindWord::name);
    token.reject("is no layer", fmt::format("did you mean '{}'? layers are {}", config::nearest(name, names),
                                            config::one_of(names)));
  }
  if (!word->outputs.empty()) {
    return {word->kind,
            parse_outputs(token, *word, colon == token.text.npos ? "" : token.text.substr(colon + 1)),
            word->kind == Kind::gate_end ? word->name : ""};
  }
  if (colon != token.text.npos)
    token.reject("has a number, which this layer does not take", fmt::format("write {}", name));
  return {word->kind, 0};
}

}  // namespace

std::vector<LayerSpec> parse_network(std::string_view text, NetworkRole role, Span<const GateEnd> ends) {
  const std::vector<Token> tokens = split(text, role);
  const std::string last = fmt::format("dense:{}", outputs_word(role));
  if (role == NetworkRole::gate && tokens.size() == 1 && tokens[0].text == no_layers) return {};
  if (tokens.empty()) {
    throw ConfigError(
        fmt::format("{} is empty (a network has at least one layer); write its layers, such as: "
                    "dense:32 relu {}",
                    key_of(role), last));
  }
  // Filters of patches give no gradient of their input, so rows of a network that goes on are not for them.
  const std::string endings =
      role == NetworkRole::inner_expert
          ? last
          : fmt::format("{}, or after patch_filters with sum:{}", last, outputs_word(role));
  const std::vector<KindWord> words = words_with(ends);
  std::vector<LayerSpec> layers;
  bool flat = false;  // a dense layer's output has no height and width
  for (const Token& token : tokens) {
    const LayerSpec layer = parse_layer(token, words);
    if (token.is_last && layer.outputs != LayerSpec::from_task) {
      token.reject("cannot be the last", "end with " + endings);
    }
    if (!token.is_last && layer.outputs == LayerSpec::from_task) {
      token.reject("must be the last", "give a number of units here, or remove what follows");
    }
    if (flat && (layer.kind == Kind::conv || layer.kind == Kind::padded_conv || layer.kind == Kind::max_pool)) {
      token.reject("comes after a dense layer, whose output is no image",
                   "move it before the first dense layer");
    }
    if (layer.kind == Kind::gate_end && tokens.size() > 1 &&
        !std::ranges::find(ends, layer.end, &GateEnd::word)->reads_layers) {
      token.reject("stands behind other layers, and it reads none", fmt::format("write {} alone", token.text));
    }
    flat = flat || layer.kind == Kind::dense;
    layers.push_back(layer);
  }
  return layers;
}

}  // namespace switchyard::nn
