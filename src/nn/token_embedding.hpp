// Both ends of a model of tokens: rows of them, and scores of the token that follows.
#pragma once

#include <string>

#include "nn/module.hpp"
#include "nn/trunk.hpp"

namespace switchyard::nn {

struct TokenEmbeddingOptions {
  index_t vocabulary = 0;
  index_t width = 0;
  bool tied = true;  // scores are by the table of rows (Press and Wolf 2017)

  Cost cost() const;
};

// The tables E and S [V, D], or one that is both, are parameters of the trunk, "embedding/weight" and
// "scores/weight", drawn normal with standard deviation 1 / sqrt(D). Where both ends add to one gradient, a
// shard's logits come first, then its rows, token by token in the order of rows. Logits are kept from forward
// to backward as the gradient they become: V floats a row. Local.
class TokenEmbedding {
 public:
  TokenEmbedding(Trunk& trunk, const TokenEmbeddingOptions& options);

  // x = E[token]: [N, D], of pass.batch.tokens.
  tensor::Matrix forward(const Pass& pass);

  // y S^T: [N, V], without a loss.
  tensor::Matrix logits(const Pass& pass, tensor::ConstMatrix y) const;
  struct Scores {
    Span<float> losses;            // [N], -log softmax(y S^T)_target, in nats
    Span<std::int32_t> predicted;  // [N]
  };
  // Of pass.batch.labels. y must live until backward. In a training pass it makes the gradient of y, too, where
  // a row's loss counts pass.batch.row_weight() times: logits are in the cache now.
  Scores score(const Pass& pass, tensor::ConstMatrix y);
  tensor::Matrix d_y() const { return d_y_; }
  // d_x: that of forward's rows. After score() of a training pass.
  void backward(const Pass& pass, tensor::ConstMatrix d_x);

 private:
  void multiply(device::Context& context, tensor::ConstMatrix y, tensor::Matrix logits) const;
  void score_rows(const Pass& pass, IndexRange rows, const Scores& scores);
  // Of each shard of a run: [V, D].
  void add_score_gradients(const Pass& pass, IndexRange shards, TilePartials tables) const;

  Trunk* trunk_;
  index_t vocabulary_, width_;
  index_t rows_, scores_;  // the tables, by the trunk's numbers
  // Of the step.
  tensor::ConstMatrix y_;
  tensor::Matrix logits_;  // [N, V]
  tensor::Matrix d_y_;     // [N, D]
};

}  // namespace switchyard::nn
