#include <fmt/format.h>

#include "interchange/layouts/table.hpp"
#include "interchange/layouts/transformer_parts.hpp"

namespace switchyard::interchange {

std::string llama_misfit(const run::Config& config) {
  if (std::string reason = transformer_misfit(config); !reason.empty()) return reason;
  const std::int64_t every = config.model.transformer.mixture_every;
  return every == 0 ? "" : fmt::format("transformer.mixture_every = {} (it has no mixtures)", every);
}

std::vector<Part> llama_parts(const Subject& subject) {
  std::vector<Part> parts = trunk_parts(subject);
  for (index_t layer = 0; layer < subject.config.model.transformer.layers; ++layer) {
    add_swiglu(parts, fmt::format("model.layers.{}.mlp", layer), subject,
               fmt::format("parameters/blocks/{:02}/feed_forward", layer));
  }
  return parts;
}

Json llama_config(const Subject& subject) {
  Json config = trunk_config(subject, "llama", "LlamaForCausalLM");
  config["intermediate_size"] = subject.config.model.transformer.hidden;
  config["attention_bias"] = false;
  config["mlp_bias"] = false;
  return config;
}

}  // namespace switchyard::interchange
