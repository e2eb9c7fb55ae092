// The attentive gate's scores (Krishnamurthy et al. 2023; reference V4), and back.
//
// With a query W_q g(x) and keys W_k h_i(x) of the experts' hidden vectors h_i, the score of expert i is
//   a_i = (W_q g) . (W_k h_i) / sqrt(d) = u . h_i / sqrt(d),   u = W_k^T W_q g.
// u is one row per sample, so the keys, one per sample and expert, are never formed: E times fewer products.
#pragma once

#include "device/context.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// Views of the N samples on this rank.
struct AttentionBatch {
  tensor::ConstMatrix u;     // [N, d]
  tensor::RowSource hidden;  // [N * E, d]
  index_t experts = 0;       // E
};

// scores[n, i] = u_n . h_{n,i} / sqrt(d); [N, E].
void attention_scores(device::Context&, const AttentionBatch&, tensor::Matrix scores);

struct AttentionGradient {
  tensor::Matrix d_u;          // [N, d]; no data: not wanted
  tensor::RowTarget d_hidden;  // [N * E, d], each written in full; no columns: not wanted
};
// d u_n = sum_i d a_{n,i} h_{n,i} / sqrt(d), experts in order; d h_{n,i} = d a_{n,i} u_n / sqrt(d).
void attention_backward(device::Context&, const AttentionBatch&, tensor::ConstMatrix d_scores,
                        const AttentionGradient&);

}  // namespace switchyard::ops
