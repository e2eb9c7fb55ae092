// Self-attention along a sequence.
#pragma once

#include "nn/heads_at_once.hpp"
#include "nn/network_module.hpp"
#include "ops/causal.hpp"

namespace switchyard::nn {

struct CausalAttentionOptions {
  std::string name;  // of the path in checkpoints
  index_t width = 0;
  index_t heads = 1;   // of width / heads numbers, an even number of them
  index_t window = 0;  // tokens of a sequence
  double rotary_base = 10'000;
  bool across_documents = true;  // a token sees those of its window that are of documents before its own
  NetworkOptions network = {};
  Quantisation quantisation = {};  // of the two matrices
  std::uint64_t seed = 0;

  // x W_qkv, the queries of all heads before the keys and the values; and what the heads saw, times W_out.
  NetworkModuleOptions queries_keys_values() const;
  NetworkModuleOptions out() const;
  Cost cost() const;
};

// y = concat_h(softmax(Q_h K_h^T / sqrt(d)) V_h) W_out over the tokens up to a row's own, with rotary positions
// in Q and K; no biases (Vaswani et al. 2017). The unit of arithmetic is a sequence and a head: a sequence
// never leaves its shard, so bits do not depend on ranks or threads, and those of a row not on the tokens
// behind it. Probabilities are computed again in backward, not kept. Rows that go on a sequence (pass.past) see
// its keys and values, with the products of a whole window and so its bits. Local, but for the gradients of its
// two matrices.
class CausalAttention final : public Module {
 public:
  CausalAttention(const CausalAttentionOptions& options, comm::DataPlane& data_plane);

  tensor::Matrix forward(const Pass& pass, tensor::ConstMatrix x) override;
  tensor::Matrix backward(const Pass& pass, tensor::Matrix d_y, Wants wants) override;

  void reduce_gradients(const Pass& pass) override;
  void gather_updated_values(device::Context& context) override;
  void values_changed(device::Context& context) override;
  void add_norms(NormTable& table) override;
  void add_slices(const NormTable& table, std::vector<ParameterSlice>& all) override;
  void add_parameters(std::vector<NamedArray>& all) override;

 private:
  // Of one head of one sequence: [L, d] within [N, 3 width] or [N, width].
  struct Head {
    tensor::Matrix q, k, v, seen;
    ops::CausalMask mask;
  };
  struct Record {
    tensor::Matrix qkv;  // [N, 3 width], turned
  };
  index_t head_width() const { return options_.width / options_.heads; }
  float scale() const;
  HeadsAtOnce heads_at_once(const Pass& pass) const;
  Head head_of(const Pass& pass, index_t task, tensor::Matrix qkv, tensor::Matrix seen) const;
  void probabilities(const Pass& pass, const Head& head, tensor::Matrix p) const;
  void forward_head(const Pass& pass, const Head& head, tensor::Matrix p) const;
  // Rows that go on pass.past.
  tensor::Matrix see_past(const Pass& pass, tensor::Matrix qkv) const;
  void backward_head(const Pass& pass, const Head& head, const Head& d, tensor::Matrix p,
                     tensor::Matrix d_p) const;
  // body(task, rooms) for every head of every sequence of this rank, with `rooms` matrices [L, L] of its own.
  void for_each_head(const Pass& pass, index_t rooms, const auto& body) const;

  CausalAttentionOptions options_;
  ops::RotaryTable positions_;
  NetworkModule in_, out_;
};

}  // namespace switchyard::nn
