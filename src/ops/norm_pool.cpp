#include "ops/norm_pool.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/kernels/channel_moments.hpp"
#include "ops/kernels/norm_pool.hpp"

namespace switchyard::ops {
namespace {

using kernels::NormPoolGeometry;

template <class T>
index_t count(std::span<T> values) {
  return static_cast<index_t>(values.size());
}

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

kernels::WindowGradient window_gradient(const NormPoolShape& s, index_t rows,
                                        const NormPoolGradient& gradient) {
  expect_result(s, rows, "out", gradient.out);
  expect_result(s, rows, "d_out", gradient.d_out);
  if (rows > 0) expect_argmax_place(s, gradient.argmax_place);
  return {NormPoolGeometry(s), gradient.out, gradient.argmax_place, gradient.d_out};
}

}  // namespace

void reorder_images(device::Context& context, tensor::RowSource images, index_t channels, index_t places,
                    ImageOrder to, tensor::Matrix out) {
  SY_EXPECTS(images.cols == channels * places && out.cols == images.cols && out.rows == images.rows,
             "{} images of {} values into {} of {}, {} channels of {} places", images.rows, images.cols,
             out.rows, out.cols, channels, places);
  device::for_each_row(context, images.rows, kernels::ReorderImage{images, channels, places, to, out});
}

void channel_moments(device::Context& context, const NormPoolShape& shape, tensor::ConstMatrix z,
                     std::span<Moments> of_rows) {
  expect_convolution(shape, z);
  SY_EXPECTS(count(of_rows) == z.rows * shape.channels, "{} moments for {} rows of {} channels", of_rows.size(),
             z.rows, shape.channels);
  device::for_each_row(context, z.rows, kernels::RowMoments{shape.places(), shape.channels, z, of_rows.data()});
}

void merge_moments(device::Context& context, std::span<const Moments> of_rows, std::span<Moments> moments) {
  const index_t channels = count(moments);
  SY_EXPECTS(channels > 0 && count(of_rows) % channels == 0, "{} moments of rows for {} channels",
             of_rows.size(), channels);
  device::for_each(context, channels,
                   kernels::MergeMoments{of_rows.data(), count(of_rows) / channels, channels, moments.data()});
}

void norm_pool_forward(device::Context& context, const NormPoolShape& shape, tensor::ConstMatrix z,
                       const float* scale, const float* shift, tensor::Matrix out, std::uint8_t* argmax_place) {
  expect_convolution(shape, z);
  expect_result(shape, z.rows, "out", out);
  SY_EXPECTS((scale != nullptr) == (shift != nullptr), "a scale and a shift come together");
  if (z.rows > 0) expect_argmax_place(shape, argmax_place);
  device::for_each_row(context, z.rows,
                       kernels::NormPoolForward{NormPoolGeometry(shape), z, scale, shift, out, argmax_place});
}

void norm_pool_backward_sums(device::Context& context, const NormPoolShape& shape, const NormView& norm,
                             tensor::ConstMatrix z, const NormPoolGradient& gradient,
                             std::span<double> of_rows) {
  expect_convolution(shape, z);
  SY_EXPECTS(count(of_rows) == z.rows * 2 * shape.channels, "{} sums for {} rows of {} channels",
             of_rows.size(), z.rows, shape.channels);
  device::for_each_row(
      context, z.rows,
      kernels::NormPoolBackwardSums{window_gradient(shape, z.rows, gradient), z, norm.mean, of_rows.data()});
}

void add_backward_sums(device::Context& context, const NormView& norm, std::span<const double> of_rows,
                       std::span<double> sums) {
  const index_t width = count(sums);
  SY_EXPECTS(width > 0 && width % 2 == 0 && count(of_rows) % width == 0, "{} sums of rows into {}",
             of_rows.size(), width);
  device::for_each(
      context, width,
      kernels::AddBackwardSums{of_rows.data(), count(of_rows) / width, width / 2, norm.inv_std, sums.data()});
}

void norm_pool_backward(device::Context& context, const NormPoolShape& shape, const NormView& norm,
                        std::span<const double> mean_dy, std::span<const double> mean_dy_xhat,
                        const NormPoolGradient& gradient, index_t samples, tensor::Matrix z) {
  expect_convolution(shape, z);
  SY_EXPECTS(
      norm.mean == nullptr || (count(mean_dy) == shape.channels && count(mean_dy_xhat) == shape.channels),
      "{} and {} means for {} channels", mean_dy.size(), mean_dy_xhat.size(), shape.channels);
  device::for_each_row(context, z.rows,
                       kernels::NormPoolBackward{window_gradient(shape, z.rows, gradient), norm, mean_dy.data(),
                                                 mean_dy_xhat.data(), samples, z});
}

}  // namespace switchyard::ops
