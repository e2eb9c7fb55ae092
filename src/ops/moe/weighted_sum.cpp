#include "ops/moe/weighted_sum.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/moe/kernels/weighted_sum.hpp"

namespace switchyard::ops {
namespace {

using detail::expect_shape;

void expect_batch(const WeightedSumBatch& batch) {
  const bool of_targets = batch.loss == SumLoss::squared_error;
  SY_EXPECTS(batch.outputs >= 1 && (of_targets || (batch.loss == SumLoss::logistic) == (batch.outputs == 1)),
             "{} outputs for this loss", batch.outputs);
  expect_shape("weights", batch.weights, batch.weights.rows, batch.slots);
  if (of_targets) expect_shape("targets", batch.targets, batch.weights.rows, batch.outputs);
}

}  // namespace

void weighted_sum_forward(device::Context& context, const WeightedSumBatch& batch,
                          const WeightedSumOutput& output) {
  const index_t samples = batch.weights.rows;
  expect_batch(batch);
  expect_shape("d_sum", output.d_sum, samples, batch.outputs);
  SY_EXPECTS(std::ssize(output.losses) == samples, "{} losses for {} samples", output.losses.size(), samples);
  if (batch.loss == SumLoss::squared_error) {
    expect_shape("sum", output.sum, samples, batch.outputs);
  } else {
    SY_EXPECTS(std::ssize(output.predicted) == samples, "{} predictions for {} samples",
               output.predicted.size(), samples);
  }
  if (batch.loss == SumLoss::logistic && batch.slots == 1) {
    constexpr index_t block = kernels::rows_per_block;
    device::for_each_row(context, (samples + block - 1) / block, kernels::LogisticOfOne{batch, output});
    return;
  }
  device::for_each_row(context, samples, kernels::WeightedSumForward{batch, output});
}

}  // namespace switchyard::ops
