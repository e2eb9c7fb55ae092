#include "ops/moe/combine.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/moe/kernels/combine.hpp"

namespace switchyard::ops {

using detail::expect_shape;

void combine(device::Context& context, const CombineBatch& batch, tensor::Matrix y) {
  SY_EXPECTS(batch.slots() >= 1 && batch.rows.rows == y.rows * batch.slots() && batch.rows.cols == y.cols,
             "{} x {} rows of {} slots into {} x {}", batch.rows.rows, batch.rows.cols, batch.slots(), y.rows,
             y.cols);
  expect_shape("weights", batch.weights, y.rows, batch.slots());
  device::for_each_row(context, y.rows, kernels::Combine{batch, y});
}

void combine_backward(device::Context& context, const CombineBatch& batch, tensor::ConstMatrix d_y,
                      const CombineGradient& gradient) {
  expect_shape("weights", batch.weights, d_y.rows, batch.slots());
  expect_shape("d_slots", gradient.d_slots, d_y.rows, batch.slots());
  device::for_each_row(context, d_y.rows, kernels::CombineBackward{batch, d_y, gradient});
}

void sum_slots(device::Context& context, const tensor::RowSource& rows, index_t slots, tensor::Matrix y) {
  SY_EXPECTS(slots >= 1 && rows.rows == y.rows * slots && rows.cols == y.cols,
             "{} x {} rows of {} slots into {} x {}", rows.rows, rows.cols, slots, y.rows, y.cols);
  device::for_each_row(context, y.rows, kernels::SumSlots{rows, slots, y});
}

}  // namespace switchyard::ops
