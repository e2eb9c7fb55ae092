#include "ops/fused_conv.hpp"

#include <algorithm>

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/counted.hpp"
#include "ops/kernels/conv_batch_norm.hpp"
#include "ops/kernels/fused_conv.hpp"
#include "ops/kernels/patch_sums.hpp"

namespace switchyard::ops {
namespace {

using kernels::ConvGeometry;

index_t chunk_count(index_t rows) { return (rows + kernels::rows_per_chunk - 1) / kernels::rows_per_chunk; }

index_t patch_size(const FusedConvShape& shape) { return 9 * shape.in_channels; }

void expect_shape(const FusedConvShape& s) {
  SY_EXPECTS(
      s.in_channels >= 1 && s.in_channels <= 4,
      "the fused convolution takes 1 to 4 input channels, got {} (it keeps a patch of each in registers); use "
      "the library convolution for more",
      s.in_channels);
  SY_EXPECTS(s.padding == 0 || s.padding == 1, "a padding of {} (0 or 1 with a 3x3 convolution)", s.padding);
  SY_EXPECTS(s.conv_height() >= 2 && s.conv_width() >= 2,
             "an image of {} x {} with padding {} leaves nothing to pool (a 3x3 convolution and a 2x2 window "
             "need 4 x 4 pixels with the padding)",
             s.height, s.width, s.padding);
  SY_EXPECTS(s.out_channels >= 1, "a convolution needs at least one output channel, got {}", s.out_channels);
}

void expect_images(const FusedConvShape& s, const tensor::RowSource& images) {
  SY_EXPECTS(images.cols == s.in_features(), "an image of {} x {} x {} has {} values, the rows have {}",
             s.in_channels, s.height, s.width, s.in_features(), images.cols);
}

void expect_pooled(const FusedConvShape& s, index_t rows, const char* name, const tensor::ConstMatrix& matrix) {
  SY_EXPECTS(matrix.rows == rows && matrix.cols == s.out_features(),
             "{} is {} x {}, {} images of this shape give {} x {}", name, matrix.rows, matrix.cols, rows, rows,
             s.out_features());
}

void expect_workspace(const FusedConvShape& s, index_t rows, Span<const float> workspace) {
  SY_EXPECTS(std::ssize(workspace) >= fused_conv_workspace_floats(s, rows),
             "the workspace holds {} floats, {} rows need {} (fused_conv_workspace_floats)",
             std::ssize(workspace), rows, fused_conv_workspace_floats(s, rows));
}

void expect_patch_sums(const FusedConvShape& s, Span<const double> patch_sums) {
  SY_EXPECTS(std::ssize(patch_sums) == conv_patch_sums_count(s),
             "patch_sums holds {} values, this shape has {} (conv_patch_sums_count)", std::ssize(patch_sums),
             conv_patch_sums_count(s));
}

void expect_channels(const FusedConvShape& s, const char* name, index_t values) {
  SY_EXPECTS(values == s.out_channels, "{} holds {} values for {} output channels", name, values,
             s.out_channels);
}

void expect_sums(const FusedConvShape& s, const ConvTileSums& sums) {
  expect_patch_sums(s, sums.patch_sums);
  expect_channels(s, "sum_dy", std::ssize(sums.sum_dy));
  expect_channels(s, "sum_dy_xhat", std::ssize(sums.sum_dy_xhat));
  SY_EXPECTS(std::ssize(sums.sum_dy_x) == s.weight_count(), "sum_dy_x holds {} values for {} weights",
             std::ssize(sums.sum_dy_x), s.weight_count());
}

// The mean of the first image, by which a tile's pixels are shifted.
struct FirstImageMean {
  tensor::RowSource images;
  double* mean;
  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const image = images.row(row);
    const float sum = team.sum(images.cols, [&](index_t i) { return image[i]; });
    // A float, so that pixel - pivot is the same difference wherever it is taken.
    team.once([&] { *mean = sum / static_cast<float>(images.cols); });
  }
};

// to[i] = the sum over the chunks of partials[chunk * stride + i], in float64 and in the order of the chunks.
template <class T>
struct CombineChunks {
  const float* partials;
  index_t chunks;
  index_t stride;
  T* to;
  SY_HD void operator()(index_t i) const {
    double sum = 0;
    for (index_t c = 0; c < chunks; ++c) sum += partials[c * stride + i];
    to[i] = static_cast<T>(sum);
  }
};

template <class T>
struct PatchGradientSums {
  T* dy_x;  // of dy * (x_k - pivot), per weight
  T* dy;    // per channel
};

// Over the rows of a tile.
template <class T>
void sum_patch_gradients(device::Context& context, const FusedConvShape& shape, const ConvTile& tile,
                         const double* pivot, PatchGradientSums<T> sums) {
  const tensor::RowSource& images = tile.images;
  expect_shape(shape);
  expect_images(shape, images);
  expect_pooled(shape, images.rows, "out", tile.pooled.out);
  expect_pooled(shape, images.rows, "d_out", tile.pooled.d_out);
  expect_workspace(shape, images.rows, tile.workspace);
  add_multiply_adds(images.rows * shape.gradient_multiply_adds());
  float* const partials = tile.workspace.data();
  const index_t chunks = chunk_count(images.rows);
  const index_t weights = shape.weight_count();
  const index_t stride = weights + shape.out_channels;
  device::for_each_row(context, chunks,
                       kernels::PatchGradients{ConvGeometry(shape), images, pivot, tile.pooled, partials});
  device::for_each(context, weights, CombineChunks<T>{partials, chunks, stride, sums.dy_x});
  device::for_each(context, shape.out_channels, CombineChunks<T>{partials + weights, chunks, stride, sums.dy});
}

}  // namespace

index_t fused_conv_workspace_floats(const FusedConvShape& shape, index_t rows) {
  const index_t gradients = shape.weight_count() + shape.out_channels;
  return chunk_count(rows) * std::max(gradients, kernels::PatchSumLayout{shape.in_channels}.count());
}

index_t conv_patch_sums_count(const FusedConvShape& shape) {
  return 2 + patch_size(shape) * (1 + patch_size(shape));
}

void conv_patch_sums(device::Context& context, const FusedConvShape& shape, tensor::RowSource images,
                     Span<float> workspace, Span<double> patch_sums) {
  expect_shape(shape);
  expect_images(shape, images);
  expect_workspace(shape, images.rows, workspace);
  expect_patch_sums(shape, patch_sums);
  const kernels::PatchSumLayout layout{shape.in_channels};
  const index_t patch = patch_size(shape);
  double* const places = patch_sums.data();
  double* const pivot = places + 1;
  double* const sums = pivot + 1;
  double* const products = sums + patch;
  const double place_count = static_cast<double>(images.rows * shape.conv_height() * shape.conv_width());
  device::for_each(context, 2, kernels::BeginPatchSums{places, place_count});
  device::for_each_row(context, std::min<index_t>(images.rows, 1), FirstImageMean{images, pivot});
  float* const partials = workspace.data();
  const index_t chunks = chunk_count(images.rows);
  device::for_each_row(context, chunks, kernels::PatchSums{ConvGeometry(shape), images, pivot, partials});
  device::for_each(context, patch,
                   CombineChunks<double>{partials + layout.product_count(), chunks, layout.count(), sums});
  device::for_each(context, patch * patch, kernels::CombineProducts{layout, partials, chunks, products});
}

void conv_moments(device::Context& context, const FusedConvShape& shape, Span<const double> patch_sums,
                  const ConvWeights& weights, Span<Moments> moments) {
  expect_shape(shape);
  expect_patch_sums(shape, patch_sums);
  expect_channels(shape, "moments", std::ssize(moments));
  const kernels::PatchSumView view(patch_sums.data(), patch_size(shape));
  device::for_each(context, shape.out_channels,
                   kernels::ConvMoments{view, weights.weight, weights.bias, moments.data()});
}

void fused_conv_forward(device::Context& context, const FusedConvShape& shape, tensor::RowSource images,
                        const ConvWeights& weights, const PooledResult& result) {
  expect_shape(shape);
  expect_images(shape, images);
  expect_pooled(shape, images.rows, "out", result.out);
  add_multiply_adds(images.rows * shape.multiply_adds());
  device::for_each_row(context, images.rows,
                       kernels::FusedConvForward{ConvGeometry(shape), images, weights, result});
}

void fused_conv_backward(device::Context& context, const FusedConvShape& shape, const ConvTile& tile,
                         float* d_weight, float* d_bias) {
  sum_patch_gradients(context, shape, tile, nullptr, PatchGradientSums<float>{d_weight, d_bias});
}

void fused_conv_bn_backward_sums(device::Context& context, const FusedConvShape& shape, const ConvTile& tile,
                                 const ConvBatchNormView& bn, const ConvTileSums& sums) {
  expect_sums(shape, sums);
  const kernels::PatchSumView view(sums.patch_sums.data(), patch_size(shape));
  sum_patch_gradients(context, shape, tile, view.pivot,
                      PatchGradientSums<double>{sums.sum_dy_x.data(), sums.sum_dy.data()});
  device::for_each(
      context, shape.out_channels,
      kernels::ConvSumDyXhat{view, bn, sums.sum_dy.data(), sums.sum_dy_x.data(), sums.sum_dy_xhat.data()});
}

void fused_conv_bn_backward(device::Context& context, const FusedConvShape& shape, const ConvBatchNormView& bn,
                            const ConvTileSums& sums, float* d_weight) {
  expect_shape(shape);
  expect_sums(shape, sums);
  expect_channels(shape, "mean_dy", std::ssize(bn.norm.mean_dy));
  expect_channels(shape, "mean_dy_xhat", std::ssize(bn.norm.mean_dy_xhat));
  const kernels::PatchSumView view(sums.patch_sums.data(), patch_size(shape));
  device::for_each(
      context, shape.weight_count(),
      kernels::ConvBatchNormWeightGradient{view, bn, sums.sum_dy.data(), sums.sum_dy_x.data(),
                                           bn.norm.mean_dy.data(), bn.norm.mean_dy_xhat.data(), d_weight});
}

}  // namespace switchyard::ops
