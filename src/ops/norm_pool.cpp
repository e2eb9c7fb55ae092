#include "ops/norm_pool.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/kernels/channel_moments.hpp"
#include "ops/kernels/norm_pool.hpp"

namespace switchyard::ops {
namespace {

using kernels::NormPoolGeometry;

void expect_convolution(const NormPoolShape& s, tensor::ConstMatrix z) {
  SY_EXPECTS(z.cols == s.in_features(), "a convolution of {} x {} x {} has {} values, the rows have {}",
             s.height, s.width, s.channels, s.in_features(), z.cols);
}

void expect_result(const NormPoolShape& s, index_t rows, const char* name, tensor::ConstMatrix matrix) {
  SY_EXPECTS(matrix.rows == rows && matrix.cols == s.out_features(),
             "{} is {} x {}, {} images of this shape give {} x {}", name, matrix.rows, matrix.cols, rows, rows,
             s.out_features());
}

void expect_argmax_place(const NormPoolShape& s, const std::uint8_t* argmax_place) {
  SY_EXPECTS((argmax_place != nullptr) == s.max_pool, "winners are kept if and only if there is pooling");
}

kernels::WindowGradient window_gradient(const NormPoolShape& s, const NormPoolRows& rows) {
  expect_convolution(s, rows.z);
  expect_result(s, rows.z.rows, "out", rows.pooled.out);
  expect_result(s, rows.z.rows, "d_out", rows.pooled.d_out);
  if (rows.z.rows > 0) expect_argmax_place(s, rows.pooled.argmax_place);
  return {NormPoolGeometry(s), rows.pooled};
}

}  // namespace

void reorder_images(device::Context& context, tensor::RowSource images, ImageSizes sizes, ImageOrder to,
                    tensor::Matrix out) {
  const auto [channels, places] = sizes;
  SY_EXPECTS(images.cols == channels * places && out.cols == images.cols && out.rows == images.rows,
             "{} images of {} values into {} of {}, {} channels of {} places", images.rows, images.cols,
             out.rows, out.cols, channels, places);
  device::for_each_row(context, images.rows, kernels::ReorderImage{images, sizes, to, out});
}

void channel_moments(device::Context& context, const NormPoolShape& shape, tensor::ConstMatrix z,
                     Span<Moments> of_rows) {
  expect_convolution(shape, z);
  SY_EXPECTS(std::ssize(of_rows) == z.rows * shape.channels, "{} moments for {} rows of {} channels",
             of_rows.size(), z.rows, shape.channels);
  device::for_each_row(context, z.rows, kernels::RowMoments{shape.places(), shape.channels, z, of_rows.data()});
}

void merge_moments(device::Context& context, Span<const Moments> of_rows, Span<Moments> moments) {
  const index_t channels = std::ssize(moments);
  SY_EXPECTS(channels > 0 && std::ssize(of_rows) % channels == 0, "{} moments of rows for {} channels",
             of_rows.size(), channels);
  device::for_each(
      context, channels,
      kernels::MergeMoments{of_rows.data(), std::ssize(of_rows) / channels, channels, moments.data()});
}

void norm_pool_forward(device::Context& context, const NormPoolShape& shape, tensor::ConstMatrix z,
                       const Affine& affine, const PooledResult& result) {
  expect_convolution(shape, z);
  expect_result(shape, z.rows, "out", result.out);
  SY_EXPECTS((affine.scale != nullptr) == (affine.shift != nullptr), "a scale and a shift come together");
  if (z.rows > 0) expect_argmax_place(shape, result.argmax_place);
  device::for_each_row(context, z.rows, kernels::NormPoolForward{NormPoolGeometry(shape), z, affine, result});
}

void norm_pool_backward_sums(device::Context& context, const NormPoolShape& shape, const NormView& norm,
                             const NormPoolRows& rows, Span<double> of_rows) {
  SY_EXPECTS(std::ssize(of_rows) == rows.z.rows * 2 * shape.channels, "{} sums for {} rows of {} channels",
             of_rows.size(), rows.z.rows, shape.channels);
  device::for_each_row(
      context, rows.z.rows,
      kernels::NormPoolBackwardSums{window_gradient(shape, rows), rows.z, norm.mean, of_rows.data()});
}

void add_backward_sums(device::Context& context, const NormView& norm, Span<const double> of_rows,
                       Span<double> sums) {
  const index_t width = std::ssize(sums);
  SY_EXPECTS(width > 0 && width % 2 == 0 && std::ssize(of_rows) % width == 0, "{} sums of rows into {}",
             of_rows.size(), width);
  device::for_each(context, width,
                   kernels::AddBackwardSums{of_rows.data(), std::ssize(of_rows) / width, width / 2,
                                            norm.inv_std, sums.data()});
}

void norm_pool_backward(device::Context& context, const NormPoolShape& shape, const NormView& norm,
                        const NormPoolRows& rows) {
  SY_EXPECTS(norm.mean == nullptr || (std::ssize(norm.mean_dy) == shape.channels &&
                                      std::ssize(norm.mean_dy_xhat) == shape.channels),
             "{} and {} means for {} channels", norm.mean_dy.size(), norm.mean_dy_xhat.size(), shape.channels);
  device::for_each_row(context, rows.z.rows,
                       kernels::NormPoolBackward{window_gradient(shape, rows), norm, norm.mean_dy.data(),
                                                 norm.mean_dy_xhat.data(), rows.samples, rows.z});
}

}  // namespace switchyard::ops
