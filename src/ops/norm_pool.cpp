#include "ops/norm_pool.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/kernels/average_places.hpp"
#include "ops/kernels/channel_moments.hpp"
#include "ops/kernels/many_rows.hpp"
#include "ops/kernels/norm_pool.hpp"

namespace switchyard::ops {
namespace {

using kernels::NormPoolGeometry;
using kernels::parts_of_image;

void expect_convolution(const NormPoolShape& s, tensor::ConstMatrix z) {
  SY_EXPECTS(z.cols == s.in_features(), "a convolution of {} x {} x {} has {} values, the rows have {}",
             s.height, s.width, s.channels, s.in_features(), z.cols);
}

void expect_average(tensor::ConstMatrix images, ImageSizes sizes, tensor::ConstMatrix means) {
  SY_EXPECTS(
      images.rows == means.rows && images.cols == sizes.channels * sizes.places && means.cols == sizes.channels,
      "{} means of {} channels of {} images of {} values, which have {} of {} places", means.rows, means.cols,
      images.rows, images.cols, sizes.channels, sizes.places);
}

void expect_result(const NormPoolShape& s, index_t rows, const char* name, tensor::ConstMatrix matrix) {
  SY_EXPECTS(matrix.rows == rows && matrix.cols == s.out_features(),
             "{} is {} x {}, {} images of this shape give {} x {}", name, matrix.rows, matrix.cols, rows, rows,
             s.out_features());
}

void expect_argmax_place(const NormPoolShape& s, const std::uint8_t* argmax_place) {
  SY_EXPECTS((argmax_place != nullptr) == s.max_pool, "winners are kept if and only if there is pooling");
}

void expect_skip(const NormPoolShape& s, index_t rows, tensor::ConstMatrix skip) {
  SY_EXPECTS(!s.max_pool && skip.rows == rows && skip.cols == s.in_features(),
             "a skip of {} x {} to {} rows of {} x {} x {}{}", skip.rows, skip.cols, rows, s.height, s.width,
             s.channels, s.max_pool ? ", which are pooled" : "");
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
  const index_t parts = parts_of_image(context, places);
  device::for_each_row(context, images.rows * parts, kernels::ReorderImage{images, parts, sizes, to, out});
}

void average_places(device::Context& context, tensor::ConstMatrix x, ImageSizes sizes, ImageOrder order,
                    tensor::Matrix y) {
  expect_average(x, sizes, y);
  device::for_each_row(context, x.rows, kernels::AveragePlaces{x, sizes, {sizes, order}, y});
}

void average_places_backward(device::Context& context, tensor::ConstMatrix d_y, ImageSizes sizes,
                             ImageOrder order, tensor::Matrix d_x) {
  expect_average(d_x, sizes, d_y);
  device::for_each_row(context, d_x.rows, kernels::AveragePlacesBackward{d_y, sizes, {sizes, order}, d_x});
}

void channel_moments(device::Context& context, const NormPoolShape& shape, TileRows rows, tensor::ConstMatrix z,
                     Span<Moments> of_rows) {
  expect_convolution(shape, z);
  SY_EXPECTS(std::ssize(of_rows) == z.rows * shape.channels, "{} moments for {} rows of {} channels",
             of_rows.size(), z.rows, shape.channels);
  const index_t parts = parts_of_image(context, shape.channels);
  device::for_each_row(context, rows.count() * parts,
                       kernels::RowMoments{rows, parts, shape.places(), shape.channels, z, of_rows.data()});
}

void merge_moments(device::Context& context, TileView tiles, Span<const Moments> of_rows,
                   Span<Moments> of_tiles) {
  if (tiles.count == 0) return;
  const index_t channels = std::ssize(of_tiles) / tiles.count;
  SY_EXPECTS(channels > 0 && std::ssize(of_tiles) % tiles.count == 0 && std::ssize(of_rows) % channels == 0,
             "{} moments of rows into {} of {} tiles", of_rows.size(), of_tiles.size(), tiles.count);
  device::for_each(context, std::ssize(of_tiles),
                   kernels::MergeMoments{tiles, of_rows.data(), channels, of_tiles.data()});
}

void norm_pool_forward(device::Context& context, const NormPoolShape& shape, TileRows rows,
                       tensor::ConstMatrix z, const Affine& affine, const PooledResult& result,
                       tensor::ConstMatrix skip) {
  expect_convolution(shape, z);
  expect_result(shape, z.rows, "out", result.out);
  SY_EXPECTS((affine.scale.first != nullptr) == (affine.shift.first != nullptr),
             "a scale and a shift come together");
  if (skip.data != nullptr) expect_skip(shape, z.rows, skip);
  if (z.rows > 0) expect_argmax_place(shape, result.argmax_place);
  const index_t parts = parts_of_image(context, shape.out_height() * shape.channels);
  device::for_each_row(context, rows.count() * parts,
                       kernels::NormPoolForward{NormPoolGeometry(shape), rows, parts, z, affine, result, skip});
}

void norm_pool_backward_sums(device::Context& context, const NormPoolShape& shape, TileRows rows,
                             const NormView& norm, const NormPoolRows& of, Span<double> of_rows) {
  SY_EXPECTS(std::ssize(of_rows) == of.z.rows * 2 * shape.channels, "{} sums for {} rows of {} channels",
             of_rows.size(), of.z.rows, shape.channels);
  const index_t parts = parts_of_image(context, shape.channels);
  device::for_each_row(
      context, rows.count() * parts,
      kernels::NormPoolBackwardSums{window_gradient(shape, of), rows, parts, of.z, norm.mean, of_rows.data()});
}

void add_backward_sums(device::Context& context, TileView tiles, const NormView& norm,
                       Span<const double> of_rows, Span<double> of_tiles) {
  if (tiles.count == 0) return;
  const index_t width = std::ssize(of_tiles) / tiles.count;
  SY_EXPECTS(width > 0 && width % 2 == 0 && std::ssize(of_tiles) % tiles.count == 0 &&
                 std::ssize(of_rows) % width == 0,
             "{} sums of rows into {} of {} tiles", of_rows.size(), of_tiles.size(), tiles.count);
  device::for_each(context, std::ssize(of_tiles),
                   kernels::AddBackwardSums{tiles, of_rows.data(), width / 2, norm.inv_std, of_tiles.data()});
}

void skip_gradient(device::Context& context, const NormPoolShape& shape, TileRows rows,
                   const PooledGradient& pooled, tensor::Matrix d_skip, SkipGradient how) {
  expect_result(shape, d_skip.rows, "out", pooled.out);
  expect_result(shape, d_skip.rows, "d_out", pooled.d_out);
  expect_skip(shape, d_skip.rows, d_skip);
  const index_t parts = parts_of_image(context, shape.height * shape.channels);
  device::for_each_row(context, rows.count() * parts,
                       kernels::SkipRows{{NormPoolGeometry(shape), pooled}, rows, parts, how, d_skip});
}

void norm_pool_backward(device::Context& context, const NormPoolShape& shape, TileRows rows,
                        const NormView& norm, const NormPoolRows& of) {
  const index_t parts = parts_of_image(context, shape.height * shape.channels);
  device::for_each_row(context, rows.count() * parts,
                       kernels::NormPoolBackward{window_gradient(shape, of), rows, parts, norm, of.z});
}

}  // namespace switchyard::ops
