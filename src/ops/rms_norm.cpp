#include "ops/rms_norm.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/kernels/rms_norm.hpp"

namespace switchyard::ops {

using detail::expect_shape;

void rms_norm(device::Context& context, tensor::ConstMatrix x, Span<const float> weight, float epsilon,
              tensor::Matrix y, Span<float> inverse_rms) {
  expect_shape("y", y, x.rows, x.cols);
  SY_EXPECTS(std::ssize(weight) == x.cols && std::ssize(inverse_rms) == x.rows,
             "{} weights and {} results for {} x {}", weight.size(), inverse_rms.size(), x.rows, x.cols);
  device::for_each_row(context, x.rows, kernels::RmsNorm{x, weight.data(), epsilon, y, inverse_rms.data()});
}

void rms_norm_backward(device::Context& context, tensor::ConstMatrix x, Span<const float> weight,
                       Span<const float> inverse_rms, tensor::ConstMatrix d_y, tensor::Matrix d_x) {
  expect_shape("d_y", d_y, x.rows, x.cols);
  expect_shape("d_x", d_x, x.rows, x.cols);
  device::for_each_row(context, x.rows,
                       kernels::RmsNormBackward{x, weight.data(), inverse_rms.data(), d_y, d_x});
}

void rms_norm_weight_gradient(device::Context& context, TileView tiles, tensor::ConstMatrix x,
                              Span<const float> inverse_rms, tensor::ConstMatrix d_y, float* d_weight,
                              index_t stride) {
  expect_shape("d_y", d_y, x.rows, x.cols);
  const kernels::TileColumns columns(context.device(), tiles, x.cols);
  device::for_each_row(context, columns.rows(),
                       kernels::RmsNormWeightGradient{columns, x, inverse_rms.data(), d_y, d_weight, stride});
}

}  // namespace switchyard::ops
