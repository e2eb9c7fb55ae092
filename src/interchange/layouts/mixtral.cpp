#include <fmt/format.h>

#include "interchange/layouts/table.hpp"
#include "interchange/layouts/transformer_parts.hpp"

namespace switchyard::interchange {

std::string mixtral_misfit(const run::Config& config) {
  if (std::string reason = transformer_misfit(config); !reason.empty()) return reason;
  const std::int64_t every = config.model.transformer.mixture_every;
  if (every != 1) return fmt::format("transformer.mixture_every = {} (each layer is a mixture there)", every);
  if (std::string reason = mixture_misfit(config.moe); !reason.empty()) return reason;
  if (!weights_add_up(config.moe)) {
    return fmt::format("moe.normalise = {} with moe.top_k = {} (weights there add up to 1)",
                       moe::word_of(config.moe, "normalise"), config.moe.top_k);
  }
  if (config.moe.shared_hidden > 0)
    return fmt::format("moe.shared_hidden = {} (it has no shared expert)", config.moe.shared_hidden);
  return {};
}

std::vector<Part> mixtral_parts(const Subject& subject) {
  constexpr SwigluNames numbered = {"w1", "w3", "w2"};
  const moe::Options& moe = subject.config.moe;
  std::vector<Part> parts = trunk_parts(subject);
  for (index_t layer = 0; layer < subject.config.model.transformer.layers; ++layer) {
    const std::string name = fmt::format("model.layers.{}.block_sparse_moe", layer);
    const std::string path = fmt::format("parameters/blocks/{:02}/mixture", layer);
    parts.push_back(
        transposed(name + ".gate.weight", subject, path + "/gate/dense_1/weight", {0, moe.experts}));
    for (index_t e = 0; e < moe.experts; ++e) {
      add_swiglu(parts, fmt::format("{}.experts.{}", name, e), subject,
                 fmt::format("{}/experts/{:04}", path, e), numbered);
    }
  }
  return parts;
}

Json mixtral_config(const Subject& subject) {
  Json config = trunk_config(subject, "mixtral", "MixtralForCausalLM");
  config["intermediate_size"] = subject.config.moe.hidden;
  config["num_local_experts"] = subject.config.moe.experts;
  config["num_experts_per_tok"] = slots(subject.config.moe);
  config["sliding_window"] = nullptr;
  return config;
}

}  // namespace switchyard::interchange
