#include "ops/depthwise.hpp"

#include <algorithm>

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/counted.hpp"
#include "ops/kernels/depthwise.hpp"
#include "ops/kernels/many_rows.hpp"

namespace switchyard::ops {
namespace {

using kernels::DepthwiseGeometry;

// Of a weight gradient.
constexpr index_t terms_of_part = 8192;

void expect_depthwise(const Conv2dShape& s) {
  SY_EXPECTS(s.depthwise && s.in_channels == s.out_channels && s.kernel_height == DepthwiseGeometry::side &&
                 s.kernel_width == DepthwiseGeometry::side && s.padding_height == 1 && s.padding_width == 1,
             "{} channels of {}, kernels {} x {} behind a border of {} x {}", s.out_channels, s.in_channels,
             s.kernel_height, s.kernel_width, s.padding_height, s.padding_width);
}

index_t bands(const device::Context& context, index_t rows) {
  return kernels::wants_many_rows(context) ? rows : 1;
}

}  // namespace

void depthwise_forward(device::Context& context, const Conv2dShape& s, const float* x, const float* weight,
                       const float* bias, float* y) {
  expect_depthwise(s);
  add_multiply_adds(s.multiply_adds());
  const DepthwiseGeometry g(s, bands(context, s.out_height()));
  const index_t parts = kernels::parts_of_image(context, s.out_height() * s.in_channels);
  device::for_each_row(context, s.batch * parts, kernels::DepthwiseForward{g, parts, x, weight, bias, y});
}

void depthwise_backward_data(device::Context& context, const Conv2dShape& s, const float* d_y,
                             const float* weight, float* d_x) {
  expect_depthwise(s);
  add_multiply_adds(s.multiply_adds());
  const DepthwiseGeometry g(s, bands(context, s.height));
  const index_t parts = kernels::parts_of_image(context, s.height * s.in_channels);
  device::for_each_row(context, s.batch * parts, kernels::DepthwiseBackwardData{g, parts, d_y, weight, d_x});
}

void depthwise_weight_gradients(device::Context& context, const Conv2dShape& s, const TileRows& rows,
                                const float* x, const float* d_y, tensor::Matrix gradients) {
  expect_depthwise(s);
  if (gradients.rows == 0) return;
  const index_t images = std::max<index_t>(terms_of_part / (s.out_height() * s.out_width()), 1);
  const kernels::ImageParts parts_of_tiles{rows, images, (rows.rows + images - 1) / images};
  Conv2dShape all = s;
  all.batch = gradients.rows * rows.rows;
  add_multiply_adds(all.multiply_adds());
  const bool bias = gradients.cols > s.weight_count();
  kernels::DepthwiseWeightGradients kernel{DepthwiseGeometry(s, 1), parts_of_tiles,  true, x, d_y, bias,
                                           gradients.data,          gradients.stride};
  if (!kernels::wants_many_rows(context)) return device::for_each_row(context, gradients.rows, kernel);
  // Rows for the parts of a tile, and one more pass that adds them: the same sums.
  device::Workspace& workspace = context.workspace();
  const device::Workspace::Mark mark = workspace.mark();
  kernel.whole_tiles = false;
  kernel.stride = gradients.cols;
  kernel.gradients = workspace.allocate<float>(gradients.rows * parts_of_tiles.most * kernel.stride).data();
  device::for_each_row(context, gradients.rows * parts_of_tiles.most, kernel);
  device::for_each(
      context, gradients.rows * kernel.stride,
      kernels::AddParts{parts_of_tiles, kernel.gradients, kernel.stride, gradients.data, gradients.stride});
  workspace.release(mark);
}

}  // namespace switchyard::ops
