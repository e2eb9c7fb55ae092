#include "ops/moe/attention.hpp"

#include <cmath>

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/moe/kernels/attention.hpp"

namespace switchyard::ops {
namespace {

float scale_of(const AttentionBatch& batch) {
  SY_EXPECTS(batch.u.cols >= 1 && batch.experts >= 1, "hidden vectors of {} of {} experts", batch.u.cols,
             batch.experts);
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(batch.u.cols)));
}

}  // namespace

void attention_scores(device::Context& context, const AttentionBatch& batch, tensor::Matrix scores) {
  detail::expect_shape("scores", scores, batch.u.rows, batch.experts);
  device::for_each_row(context, batch.u.rows, kernels::AttentionScores{batch, scale_of(batch), scores});
}

void attention_backward(device::Context& context, const AttentionBatch& batch, tensor::ConstMatrix d_scores,
                        const AttentionGradient& gradient) {
  detail::expect_shape("d_scores", d_scores, batch.u.rows, batch.experts);
  if (gradient.d_u.data != nullptr) detail::expect_shape("d_u", gradient.d_u, batch.u.rows, batch.u.cols);
  device::for_each_row(context, batch.u.rows,
                       kernels::AttentionBackward{batch, scale_of(batch), d_scores, gradient});
}

}  // namespace switchyard::ops
