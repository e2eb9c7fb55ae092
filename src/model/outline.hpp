// What a configuration makes of the samples, before anything has memory.
#pragma once

#include <array>
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

// Kinds of parts of a model.
enum class Part : std::size_t {
  embedding,  // and logits
  norms,
  attention,
  feed_forward,
  router,
  experts,
  head_and_merge,  // of sub-tokens
  shared_expert,
  count,
};

// Of a row, by part: a token, or a sample that is a row.
struct Costs : std::array<nn::Cost, as_size(Part::count)> {
  nn::Cost& of(Part part) { return (*this)[as_size(part)]; }
  const nn::Cost& of(Part part) const { return (*this)[as_size(part)]; }
  Costs& operator+=(const Costs& more);
};
nn::Cost sum(const Costs& costs);
struct Outline {
  std::vector<moe::LayerOptions> layers = {};  // the mixture layers, from the first that a batch comes to
  std::vector<Branch> branches = {};           // of a model of tokens, in its order
  index_t row_features = 0;                    // of a row
  index_t rows_per_sample = 1;                 // so many of a sample
  index_t sub_heads = 1;                       // a mixture layer is given so many for each of them, as narrow
  nn::TokenEmbeddingOptions embedding = {};    // of a model of tokens
  bool drops = false;                          // numbers of what branches return (transformer.dropout)
  bool recompute = false;                      // branches, from their inputs alone

  Costs costs() const;
  nn::Cost cost() const { return sum(costs()); }
  // Of a branch with its norm, and of what is around the branches: an embedding, a norm, scores. A branch that
  // is computed again has memory for itself only while it is.
  Costs costs_of(const Branch& branch) const;
  Costs costs_of_ends() const;
  // Of what every rank has, but for routers: all that is no mixture of experts.
  nn::Cost trunk() const;
};
// Throws ConfigError for what does not fit the data.
Outline outline(const ModelOptions& options, const Task& task);

}  // namespace switchyard::model
