#include "interchange/layouts/transformer_parts.hpp"

#include <fmt/format.h>

#include "nn/rms_norm.hpp"

namespace switchyard::interchange {
namespace {

constexpr const char* embedding = "parameters/embedding/weight";
constexpr const char* scores = "parameters/scores/weight";

const tensor::Shape& shape_of(const Subject& subject, const std::string& path) {
  static const tensor::Shape none = {0, 0};
  const auto found = subject.arrays.find(path);
  return found != subject.arrays.end() && found->second.size() == 2 ? found->second : none;
}

}  // namespace

std::string transformer_misfit(const run::Config& config) {
  if (config.model.family != model::Family::transformer)
    return fmt::format("model.family = {} (it is no transformer)", run::schema().text(config, "model.family"));
  if (config.model.transformer.quantise != nn::Quantiser::none) {
    return fmt::format("transformer.quantise = {} (matrices there are multiplied as they are)",
                       run::schema().text(config, "transformer.quantise"));
  }
  if (!config.model.transformer.across_documents)
    return "transformer.across_documents = no (a token there sees all before it)";
  return {};
}

std::string mixture_misfit(const moe::Options& moe) {
  const moe::Options usual;
  if (moe.sub_heads > 1)
    return fmt::format("moe.sub_heads = {} (experts there see whole tokens)", moe.sub_heads);
  if (moe.router != usual.router)
    return fmt::format("moe.router = {} (scores there are products with a matrix)",
                       moe::word_of(moe, "router"));
  if (moe::has(moe.head, moe) || moe::has(moe.merge, moe))
    return "moe.head or moe.merge is yes (there is nothing before experts there, and nothing behind them)";
  if (moe.scores != usual.scores)
    return fmt::format("moe.scores = {} (weights there are a softmax)", moe::word_of(moe, "scores"));
  if (moe.gate_value != usual.gate_value)
    return fmt::format("moe.gate_value = {} (scores there have no noise)", moe::word_of(moe, "gate_value"));
  if (moe.noise != usual.noise && moe.noise_when == moe::When::always)
    return "moe.noise_when = always (scores there have no noise)";
  if (moe.scale != usual.scale)
    return fmt::format("moe.scale = {} (weights there are not multiplied)", moe.scale);
  if (moe.bias_rate > 0) return fmt::format("moe.bias_rate = {} (choices there have no bias)", moe.bias_rate);
  if (moe.capacity > 0 && moe.capacity_when == moe::When::always)
    return "moe.capacity_when = always (experts there take all rows)";
  if (moe.groups > 0) return fmt::format("moe.groups = {} (experts there have no groups)", moe.groups);
  return {};
}

bool weights_add_up(const moe::Options& moe) { return moe::weighs_over_chosen(moe) || !moe::chooses(moe); }

index_t slots(const moe::Options& moe) { return moe.top_k > 0 ? moe.top_k : moe.experts; }

Part transposed(std::string name, const Subject& subject, std::string path, IndexRange columns) {
  const index_t rows = shape_of(subject, path)[0];
  return {std::move(name), {columns.size(), rows}, std::move(path), columns};
}

std::vector<Part> trunk_parts(const Subject& subject) {
  const index_t width = subject.config.model.transformer.width;
  const auto norm = [&](std::string name, std::string path) {
    return Part{std::move(name), {width}, std::move(path)};
  };
  std::vector<Part> parts = {
      {"model.embed_tokens.weight", {shape_of(subject, embedding)[0], width}, embedding}};
  for (index_t layer = 0; layer < subject.config.model.transformer.layers; ++layer) {
    const std::string name = fmt::format("model.layers.{}", layer);
    const std::string path = fmt::format("parameters/blocks/{:02}", layer);
    parts.push_back(norm(name + ".input_layernorm.weight", path + "/attention_norm/weight"));
    for (index_t third = 0; const char letter : {'q', 'k', 'v'}) {
      parts.push_back(transposed(fmt::format("{}.self_attn.{}_proj.weight", name, letter), subject,
                                 path + "/attention/qkv/weight", {third * width, (third + 1) * width}));
      ++third;
    }
    parts.push_back(
        transposed(name + ".self_attn.o_proj.weight", subject, path + "/attention/out/weight", {0, width}));
    parts.push_back(norm(name + ".post_attention_layernorm.weight", path + "/norm/weight"));
  }
  parts.push_back(norm("model.norm.weight", "parameters/norm/weight"));
  if (!subject.config.model.transformer.tied)
    parts.push_back({"lm_head.weight", shape_of(subject, scores), scores});
  return parts;
}

void add_swiglu(std::vector<Part>& parts, const std::string& name, const Subject& subject,
                const std::string& path, const SwigluNames& names) {
  const index_t width = shape_of(subject, path + "/down/weight")[1];
  const index_t hidden = shape_of(subject, path + "/glu/weight")[1] / 2;
  const auto add = [&](std::string_view projection, const char* array, IndexRange columns) {
    parts.push_back(transposed(fmt::format("{}.{}.weight", name, projection), subject, path + array, columns));
  };
  add(names.gate, "/glu/weight", {0, hidden});
  add(names.up, "/glu/weight", {hidden, 2 * hidden});
  add(names.down, "/down/weight", {0, width});
}

Json trunk_config(const Subject& subject, std::string_view model_type, std::string_view architecture) {
  const model::TransformerOptions& of = subject.config.model.transformer;
  constexpr double epsilon = 1e-5;  // as a text of few digits
  static_assert(static_cast<float>(epsilon) == nn::RmsNorm::epsilon);
  return {{"architectures", Json::array({architecture})},
          {"model_type", model_type},
          {"vocab_size", shape_of(subject, embedding)[0]},
          {"hidden_size", of.width},
          {"num_hidden_layers", of.layers},
          {"num_attention_heads", of.heads},
          {"num_key_value_heads", of.heads},
          {"hidden_act", "silu"},
          {"rms_norm_eps", epsilon},
          {"rope_theta", of.rotary_base},
          {"tie_word_embeddings", of.tied}};
}

}  // namespace switchyard::interchange
