#include "ops/moe/attention.hpp"

#include <cmath>

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/detail/expect_shape.hpp"

namespace switchyard::ops {
namespace kernels {

struct AttentionScores {
  AttentionBatch batch;
  float scale;  // 1 / sqrt(d)
  tensor::Matrix scores;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const u = batch.u.row(row);
    for (index_t i = 0; i < batch.experts; ++i) {
      const float* const h = batch.hidden.row(row * batch.experts + i);
      const float product = team.sum(batch.u.cols, [&](index_t c) { return u[c] * h[c]; });
      team.once([&] { scores(row, i) = scale * product; });
    }
  }
};

struct AttentionBackward {
  AttentionBatch batch;
  float scale;  // 1 / sqrt(d)
  tensor::ConstMatrix d_scores;
  AttentionGradient gradient;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const u = batch.u.row(row);
    const index_t d = batch.u.cols;
    for (index_t i = 0; i < batch.experts && gradient.d_hidden.cols > 0; ++i) {
      const float d_product = scale * d_scores(row, i);
      float* const d_h = gradient.d_hidden.row(row * batch.experts + i);
      team.for_each(d, [&](index_t c) { d_h[c] = d_product * u[c]; });
    }
    if (gradient.d_u.data == nullptr) return;
    float* const d_u = gradient.d_u.row(row);
    team.for_each(d, [&](index_t c) { d_u[c] = 0.0F; });
    for (index_t i = 0; i < batch.experts; ++i) {
      const float d_product = scale * d_scores(row, i);
      const float* const h = batch.hidden.row(row * batch.experts + i);
      team.for_each(d, [&](index_t c) { d_u[c] += d_product * h[c]; });
    }
  }
};

}  // namespace kernels
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
