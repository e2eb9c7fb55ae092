// A table of token vectors at both ends of a model: rows of tokens, and scores of the token that follows.
#pragma once

#include <string>

#include "nn/module.hpp"
#include "nn/trunk.hpp"

namespace switchyard::nn {

// Its table E [V, D] is a parameter of the trunk, "SCOPE/weight", drawn normal with standard deviation 1 /
// sqrt(D). Both ends add to its gradient: a shard's logits first, then its rows, token by token in the order of
// rows. Logits are kept from forward to backward as the gradient they become: V floats a row. Local.
class TiedEmbedding {
 public:
  TiedEmbedding(Trunk& trunk, const std::string& scope, index_t vocabulary, index_t width);

  // x = E[token]: [N, D], of pass.batch.tokens.
  tensor::Matrix forward(const Pass& pass);

  struct Scores {
    Span<float> losses;            // [N], -log softmax(y E^T)_target, in nats
    Span<std::int32_t> predicted;  // [N]
  };
  // Of pass.batch.labels. y must live until backward.
  Scores score(const Pass& pass, tensor::ConstMatrix y);
  // The gradient of y, where a row's loss counts pass.batch.row_weight() times. After score() of a training
  // pass.
  tensor::Matrix backward_scores(const Pass& pass) const;
  // d_x: that of forward's rows. After backward_scores().
  void backward(const Pass& pass, tensor::ConstMatrix d_x);

 private:
  tensor::Matrix table() { return {trunk_->values(weight_).data(), vocabulary_, width_}; }

  Trunk* trunk_;
  index_t vocabulary_, width_;
  index_t weight_;
  // Of the step.
  tensor::ConstMatrix y_;
  tensor::Matrix logits_;  // [N, V]
};

}  // namespace switchyard::nn
