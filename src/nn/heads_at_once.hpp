// What a GPU does of self-attention: all heads of all sequences in a fixed number of launches.
#pragma once

#include "nn/pass.hpp"
#include "ops/head_products.hpp"

namespace switchyard::nn {

// Of the arrays of nn/causal_attention.hpp: q, k and v beside each other in qkv [N, 3 width]. In as many parts
// as keep the probabilities of a part below a bound on memory, which is far above what a launch is worth.
class HeadsAtOnce {
 public:
  struct Shape {
    index_t width, heads, window;
    float scale;
    bool across_documents;
  };
  HeadsAtOnce(const Pass& pass, const Shape& shape) : pass_(pass), shape_(shape) {}

  void forward(tensor::Matrix qkv, tensor::Matrix seen) const;
  // Of rows that go on a sequence, whose keys and values lie side by side in `kept`.
  void forward_behind(tensor::Matrix qkv, tensor::Matrix kept, const ops::CausalMask& mask,
                      tensor::Matrix seen) const;
  // dV = P^T dO, dP = dO V^T, dQ = dS K, dK = dS^T Q.
  void backward(tensor::Matrix qkv, tensor::Matrix d_seen, tensor::Matrix d_qkv) const;

 private:
  // Of `count` heads from `first` on, with `rows` rows each.
  struct Part {
    index_t first, count, rows;
    ops::CausalMask mask;
  };
  index_t head_width() const { return shape_.width / shape_.heads; }
  // Columns of `all` from `column` on, `rows` of which are a sequence's.
  ops::HeadMatrices heads_of(tensor::Matrix all, index_t column, index_t rows, const Part& part) const;
  // [count, rows, window], side by side.
  ops::HeadMatrices room(const Part& part) const;
  tensor::Matrix rows_of(const ops::HeadMatrices& room, const Part& part) const;

  void probabilities(const Part& part, const ops::HeadMatrices& q, const ops::HeadMatrices& k,
                     const ops::HeadMatrices& p) const;
  // body(part) for all heads of all sequences.
  void for_each_part(const auto& body) const;

  const Pass& pass_;
  Shape shape_;
};

}  // namespace switchyard::nn
