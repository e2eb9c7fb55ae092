#include "ops/glu.hpp"

#include "device/launch.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/kernels/glu.hpp"

namespace switchyard::ops {

using detail::expect_shape;

void swiglu(device::Context& context, tensor::ConstMatrix x, tensor::Matrix y) {
  expect_shape("x", x, y.rows, 2 * y.cols);
  device::for_each_row(context, y.rows, kernels::SwiGlu{x, y});
}

void swiglu_backward(device::Context& context, tensor::ConstMatrix x, tensor::ConstMatrix d_y,
                     tensor::Matrix d_x) {
  expect_shape("x", x, d_y.rows, 2 * d_y.cols);
  expect_shape("d_x", d_x, d_y.rows, 2 * d_y.cols);
  device::for_each_row(context, d_y.rows, kernels::SwiGluBackward{x, d_y, d_x});
}

}  // namespace switchyard::ops
