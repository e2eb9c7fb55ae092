#include "nn/network_spec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <system_error>

#include "base/error.hpp"
#include "config/messages.hpp"
#include "config/word_in_value.hpp"

namespace switchyard::nn {
namespace {

using Kind = LayerSpec::Kind;

constexpr index_t largest_outputs = 1'000'000'000;  // as config::largest_count
constexpr index_t largest_factor = 1000;

struct KindWord {
  Kind kind;
  std::string_view name;
  std::string_view outputs = {};  // what the number after ':' counts; empty: takes none
  bool has_stride = false;        // "/2" behind that
  bool has_expansion = false;     // "*6" behind that
};

constexpr std::array kind_words = {
    KindWord{Kind::conv, "conv", "channels"},
    KindWord{Kind::padded_conv, "padded_conv", "channels", true},
    KindWord{Kind::pointwise_conv, "pointwise_conv", "channels", true},
    KindWord{Kind::depthwise_conv, "depthwise_conv", "", true},
    KindWord{Kind::batch_norm, "batch_norm"},
    KindWord{Kind::relu, "relu"},
    KindWord{Kind::relu6, "relu6"},
    KindWord{Kind::max_pool, "max_pool"},
    KindWord{Kind::residual, "residual", "channels", true},
    KindWord{Kind::inverted_residual, "inverted_residual", "channels", true, true},
    KindWord{Kind::global_average_pool, "global_average_pool"},
    KindWord{Kind::dense, "dense", "units"},
    KindWord{Kind::patches, "patches", "pixels"},
    KindWord{Kind::patch_filters, "patch_filters", "filters"},
    KindWord{Kind::bias, "bias"},
    KindWord{Kind::cubic, "cubic"},
    KindWord{Kind::celu, "celu"},
    KindWord{Kind::gelu, "gelu"},
    KindWord{Kind::tanh, "tanh"},
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

// One layer's text, such as "conv:8".
struct Token : config::WordInValue {
  NetworkRole role;
  bool is_last = false;

  [[noreturn]] void reject(std::string_view why, std::string_view try_this) const {
    WordInValue::reject(key_of(role), "layer", why, try_this);
  }
};

std::vector<Token> split(std::string_view whole, NetworkRole role) {
  std::vector<Token> tokens;
  for (const config::WordInValue& word : config::words_in(whole)) tokens.push_back({word, role});
  if (!tokens.empty()) tokens.back().is_last = true;
  return tokens;
}

// "CHANNELS[/STRIDE]": how a layer's numbers are written.
std::string form_of(const KindWord& word) {
  std::string form(word.name);
  if (!word.outputs.empty()) {
    form += ':';
    for (const char c : word.outputs) form += static_cast<char>(c - 'a' + 'A');
  }
  if (word.has_stride) form += "[/STRIDE]";
  if (word.has_expansion) form += "[*EXPANSION]";
  return form;
}

// A whole number from 1 to `most`.
index_t parse_number(const Token& token, const KindWord& word, std::string_view text, std::string_view counted,
                     index_t most) {
  const std::string try_this =
      fmt::format("write {}, {} a whole number from 1 to {}", form_of(word), counted, most);
  if (text.empty()) token.reject(fmt::format("says no number of {}", counted), try_this);
  index_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc::invalid_argument || stopped != end)
    token.reject(fmt::format("has {} for a number of {}", config::in_quotes(text), counted), try_this);
  if (error == std::errc::result_out_of_range || number < 1 || number > most)
    token.reject(fmt::format("has {} {}", text, counted), try_this);
  return number;
}

index_t parse_outputs(const Token& token, const KindWord& word, std::string_view count) {
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
  return parse_number(token, word, count, word.outputs, largest_outputs);
}

// Takes what follows `mark` off the text: "64/2" becomes "64", and "2" is it.
std::optional<std::string_view> cut_behind(char mark, std::string_view& text) {
  const std::size_t at = text.find(mark);
  if (at == text.npos) return {};
  const std::string_view behind = text.substr(at + 1);
  text = text.substr(0, at);
  return behind;
}

LayerSpec parse_layer(const Token& token, const std::vector<KindWord>& words) {
  const std::string_view name = token.text.substr(0, token.text.find_first_of(":/*"));
  const auto word = std::ranges::find(words, name, &KindWord::name);
  if (word == words.end()) {
    std::vector<std::string_view> names(words.size());
    std::ranges::transform(words, names.begin(), &KindWord::name);
    for (const NamedNetwork& network : named_networks()) names.push_back(network.name);
    token.reject("is no layer", fmt::format("did you mean '{}'? layers are {}", config::nearest(name, names),
                                            config::one_of(names)));
  }
  std::string_view rest = token.text.substr(name.size());
  LayerSpec layer{.kind = word->kind};
  if (word->has_expansion) {
    if (const auto number = cut_behind('*', rest))
      layer.expansion = parse_number(token, *word, *number, "expansions", largest_factor);
  }
  if (word->has_stride) {
    if (const auto number = cut_behind('/', rest))
      layer.stride = parse_number(token, *word, *number, "strides", largest_factor);
  }
  const std::optional<std::string_view> number = cut_behind(':', rest);
  if (!rest.empty() || (word->outputs.empty() && number))
    token.reject("has a number, which this layer does not take", fmt::format("write {}", form_of(*word)));
  if (word->outputs.empty()) return layer;
  layer.outputs = parse_outputs(token, *word, number.value_or(""));
  if (word->kind == Kind::gate_end) layer.end = word->name;
  return layer;
}

constexpr std::array named = {
    NamedNetwork{
        "resnet18",
        "padded_conv:64 batch_norm relu residual:64 residual:64 residual:128/2 residual:128 residual:256/2 "
        "residual:256 residual:512/2 residual:512 global_average_pool"},
    NamedNetwork{
        "mobilenet_v2",
        "padded_conv:32 batch_norm relu6 inverted_residual:16 inverted_residual:24*6 inverted_residual:24*6 "
        "inverted_residual:32/2*6 inverted_residual:32*6 inverted_residual:32*6 inverted_residual:64/2*6 "
        "inverted_residual:64*6 inverted_residual:64*6 inverted_residual:64*6 inverted_residual:96*6 "
        "inverted_residual:96*6 inverted_residual:96*6 inverted_residual:160/2*6 inverted_residual:160*6 "
        "inverted_residual:160*6 inverted_residual:320*6 pointwise_conv:1280 batch_norm relu6 "
        "global_average_pool"}};

// The layers of a text that is a name; else none.
std::vector<LayerSpec> layers_of_a_name(const std::vector<Token>& tokens) {
  std::vector<LayerSpec> layers;
  for (const Token& token : tokens) {
    const std::size_t colon = std::min(token.text.find(':'), token.text.size());
    const auto network = std::ranges::find(named, token.text.substr(0, colon), &NamedNetwork::name);
    if (network == named.end()) continue;
    const std::string last = fmt::format("{}:{}", network->name, outputs_word(token.role));
    if (token.text != last) token.reject("does not name the outputs", "write " + last);
    if (tokens.size() > 1)
      token.reject("is a whole network", fmt::format("write it alone, or its layers: {} dense:{}",
                                                     network->layers, outputs_word(token.role)));
    const std::vector<KindWord> words = words_with({});
    for (const Token& layer : split(network->layers, token.role)) layers.push_back(parse_layer(layer, words));
    layers.push_back({.kind = Kind::dense, .outputs = LayerSpec::from_task});
  }
  return layers;
}

}  // namespace

Span<const NamedNetwork> named_networks() { return named; }

std::string_view word_of(const LayerSpec& layer) {
  const auto* const word = std::ranges::find(kind_words, layer.kind, &KindWord::kind);
  return word != kind_words.end() ? word->name : layer.end;
}

bool is_of_images(LayerSpec::Kind kind) {
  switch (kind) {
    case Kind::conv:
    case Kind::padded_conv:
    case Kind::pointwise_conv:
    case Kind::depthwise_conv:
    case Kind::max_pool:
    case Kind::residual:
    case Kind::inverted_residual:
    case Kind::global_average_pool:
    case Kind::patches:
      return true;
    case Kind::batch_norm:
    case Kind::relu:
    case Kind::relu6:
    case Kind::dense:
    case Kind::patch_filters:
    case Kind::bias:
    case Kind::cubic:
    case Kind::celu:
    case Kind::gelu:
    case Kind::tanh:
    case Kind::sum:
    case Kind::gate_end:
      return false;
  }
  return false;
}

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
  if (std::vector<LayerSpec> layers = layers_of_a_name(tokens); !layers.empty()) return layers;
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
    if (flat && is_of_images(layer.kind)) {
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
