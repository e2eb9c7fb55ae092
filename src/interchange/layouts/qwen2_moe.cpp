#include <fmt/format.h>

#include "interchange/layouts/table.hpp"
#include "interchange/layouts/transformer_parts.hpp"

namespace switchyard::interchange {

std::string qwen2_moe_misfit(const run::Config& config) {
  if (std::string reason = transformer_misfit(config); !reason.empty()) return reason;
  if (config.model.transformer.mixture_every == 0)
    return "transformer.mixture_every = 0 (some layers are mixtures there)";
  return mixture_misfit(config.moe);
}

std::vector<Part> qwen2_moe_parts(const Subject& subject) {
  const model::TransformerOptions& of = subject.config.model.transformer;
  const moe::Options& moe = subject.config.moe;
  std::vector<Part> parts = trunk_parts(subject);
  for (index_t layer = 0; layer < of.layers; ++layer) {
    const std::string name = fmt::format("model.layers.{}.mlp", layer);
    const std::string path = fmt::format("parameters/blocks/{:02}", layer);
    if (!of.is_mixture(layer)) {
      add_swiglu(parts, name, subject, path + "/feed_forward");
      continue;
    }
    const std::string mixture = path + "/mixture";
    parts.push_back(
        transposed(name + ".gate.weight", subject, mixture + "/gate/dense_1/weight", {0, moe.experts}));
    for (index_t e = 0; e < moe.experts; ++e) {
      add_swiglu(parts, fmt::format("{}.experts.{}", name, e), subject,
                 fmt::format("{}/experts/{:04}", mixture, e));
    }
    // There, sigmoid(x w) multiplies what the shared expert returns, with a vector w: zeros make it 1/2.
    parts.push_back({name + ".shared_expert_gate.weight", {1, of.width}});
    if (moe.shared_hidden > 0) {
      add_swiglu(parts, name + ".shared_expert", subject, mixture + "/shared");
      parts.back().factor = 2;
    } else {
      for (const std::string_view projection : {projections.gate, projections.up})
        parts.push_back({fmt::format("{}.shared_expert.{}.weight", name, projection), {0, of.width}});
      parts.push_back({fmt::format("{}.shared_expert.{}.weight", name, projections.down), {of.width, 0}});
    }
  }
  return parts;
}

Json qwen2_moe_config(const Subject& subject) {
  const model::TransformerOptions& of = subject.config.model.transformer;
  const moe::Options& moe = subject.config.moe;
  Json config = trunk_config(subject, "qwen2_moe", "Qwen2MoeForCausalLM");
  config["intermediate_size"] = of.hidden;
  config["qkv_bias"] = false;
  config["use_sliding_window"] = false;
  config["decoder_sparse_step"] = of.mixture_every;
  config["mlp_only_layers"] = Json::array();
  config["num_experts"] = moe.experts;
  config["num_experts_per_tok"] = slots(moe);
  config["norm_topk_prob"] = weights_add_up(moe);
  config["moe_intermediate_size"] = moe.hidden;
  config["shared_expert_intermediate_size"] = moe.shared_hidden;
  return config;
}

}  // namespace switchyard::interchange
