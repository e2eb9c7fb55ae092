// What a configuration makes of the samples, before anything has memory.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "model/model.hpp"
#include "moe/mixture_branch.hpp"
#include "nn/causal_attention.hpp"
#include "nn/token_embedding.hpp"

namespace switchyard::model {

// What a model of tokens adds to its rows: x += body(norm(x)).
struct Branch {
  std::string norm;  // the scope of its weight
  std::variant<moe::MixtureBranchOptions, nn::CausalAttentionOptions, nn::NetworkModuleOptions> body;
};

struct Outline {
  std::vector<moe::LayerOptions> layers = {};  // the mixture layers, from the first that a batch comes to
  std::vector<Branch> branches = {};           // of a model of tokens, in its order
  index_t row_features = 0;                    // of a row
  index_t rows_per_sample = 1;                 // so many of a sample
  index_t sub_heads = 1;                       // a mixture layer is given so many for each of them, as narrow
  nn::TokenEmbeddingOptions embedding = {};    // of a model of tokens
  // Outside of mixture layers: parameters, and floats that a row's activations and their gradients take.
  index_t trunk_parameters = 0;
  double trunk_floats = 0;

  index_t parameter_count() const;
};
// Throws ConfigError for what does not fit the data.
Outline outline(const ModelOptions& options, const Task& task);

}  // namespace switchyard::model
