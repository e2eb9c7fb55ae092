// The kinds of layouts, each a file in this folder.
#pragma once

#include "interchange/layout.hpp"

namespace switchyard::interchange {

// Of transformers: MixtralForCausalLM, each layer a mixture.
std::string mixtral_misfit(const run::Config& config);
std::vector<Part> mixtral_parts(const Subject& subject);
Json mixtral_config(const Subject& subject);
inline constexpr Layout mixtral = {"mixtral", mixtral_misfit, mixtral_parts, mixtral_config,
                                   ".block_sparse_moe."};

// Qwen2MoeForCausalLM: some layers, or each, are mixtures, with a shared expert or without one.
std::string qwen2_moe_misfit(const run::Config& config);
std::vector<Part> qwen2_moe_parts(const Subject& subject);
Json qwen2_moe_config(const Subject& subject);
inline constexpr Layout qwen2_moe = {"qwen2_moe", qwen2_moe_misfit, qwen2_moe_parts, qwen2_moe_config,
                                     ".mlp.experts."};

// LlamaForCausalLM: no mixture.
std::string llama_misfit(const run::Config& config);
std::vector<Part> llama_parts(const Subject& subject);
Json llama_config(const Subject& subject);
inline constexpr Layout llama = {"llama", llama_misfit, llama_parts, llama_config, ".mlp."};

// Of no program: the arrays of any model as they are.
std::string plain_misfit(const run::Config& config);
std::vector<Part> plain_parts(const Subject& subject);
inline constexpr Layout plain = {"plain", plain_misfit, plain_parts, nullptr, ""};

}  // namespace switchyard::interchange
