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

using kernels::TakenRows;
using kernels::TileChunks;

// Padding has no sums: its gradients are zeros.
TileChunks chunks_of(TileView tiles) { return {tiles, kernels::rows_per_chunk, TakenRows::samples}; }

// Of the samples of tiles; where the host cannot read these, of all their rows.
void add_multiply_adds_of_samples(const device::Context& context, TileView tiles, index_t of_row) {
  const index_t rows = kernels::counted_rows(context, chunks_of(tiles));
  if (context.memory() == device::MemoryKind::device) return add_multiply_adds(rows * of_row);
  const PaddedRows none(rows, 0);
  add_multiply_adds(rows * of_row);
}

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

void expect_values(const char* name, index_t values, index_t expected) {
  SY_EXPECTS(values == expected, "{} holds {} values, tiles of this shape have {}", name, values, expected);
}

void expect_workspace(const FusedConvShape& s, TileView tiles, Span<const float> workspace) {
  const index_t floats = tiles.count * fused_conv_workspace_floats(s, tiles.most_rows);
  SY_EXPECTS(std::ssize(workspace) >= floats,
             "the workspace holds {} floats, {} tiles of {} rows need {} (fused_conv_workspace_floats)",
             std::ssize(workspace), tiles.count, tiles.most_rows, floats);
}

void expect_patch_sums(const FusedConvShape& s, TileView tiles, Span<const double> patch_sums) {
  expect_values("patch_sums", std::ssize(patch_sums), tiles.count * conv_patch_sums_count(s));
}

void expect_sums(const FusedConvShape& s, TileView tiles, const ConvTileSums& sums) {
  expect_patch_sums(s, tiles, sums.patch_sums);
  expect_values("sum_dy", std::ssize(sums.sum_dy), tiles.count * 2 * s.out_channels);
  expect_values("sum_dy_x", std::ssize(sums.sum_dy_x), tiles.count * s.weight_count());
}

kernels::PatchSumTiles patch_sum_tiles(const FusedConvShape& s, TileView tiles, Span<const double> patch_sums) {
  return {tiles, patch_sums.data(), patch_size(s), s.out_channels};
}

// Over the chunks of tiles: store.put(tile, entry, sum) for the sums of dy * (x_k - pivot), of weight_count
// weights, and behind them those of dy, of out_channels.
template <class Store>
void sum_patch_gradients(device::Context& context, const FusedConvShape& shape, const ConvTiles& of,
                         const double* patch_sums, const Store& store) {
  const tensor::RowSource& images = of.images;
  expect_shape(shape);
  expect_images(shape, images);
  expect_pooled(shape, images.rows, "out", of.pooled.out);
  expect_pooled(shape, images.rows, "d_out", of.pooled.d_out);
  expect_workspace(shape, of.tiles, of.workspace);
  const TileChunks chunks = chunks_of(of.tiles);
  add_multiply_adds_of_samples(context, of.tiles, shape.gradient_multiply_adds());
  float* const partials = of.workspace.data();
  const ConvGeometry geometry(shape);
  const kernels::PatchGradients gradients{
      geometry, chunks, images, patch_sums, of.pooled, partials, kernels::channels_at_once(context, geometry)};
  device::for_each_row(context, gradients.rows(), gradients);
  const kernels::AddChunks add(context.device(), chunks, partials, gradients.sum_count(), store);
  device::for_each_row(context, add.rows(), add);
}

}  // namespace

index_t fused_conv_workspace_floats(const FusedConvShape& shape, index_t rows) {
  const index_t gradients = shape.weight_count() + shape.out_channels;
  const index_t chunks = (rows + kernels::rows_per_chunk - 1) / kernels::rows_per_chunk;
  return chunks * std::max(gradients, kernels::PatchSumLayout{shape.in_channels}.count());
}

index_t fused_conv_scratch_bytes(const FusedConvShape& shape) {
  const ConvGeometry geometry(shape);
  return std::max({kernels::FusedConvForward::scratch_bytes(geometry),
                   kernels::PatchSums::scratch_bytes(geometry),
                   kernels::PatchGradients::scratch_bytes(geometry, kernels::channels_of_block(geometry))});
}

index_t conv_patch_sums_count(const FusedConvShape& shape) {
  return 2 + patch_size(shape) * (1 + patch_size(shape));
}

void conv_patch_sums(device::Context& context, const FusedConvShape& shape, TileView tiles,
                     tensor::RowSource images, Span<float> workspace, Span<double> patch_sums) {
  expect_shape(shape);
  expect_images(shape, images);
  expect_workspace(shape, tiles, workspace);
  expect_patch_sums(shape, tiles, patch_sums);
  const TileChunks chunks = chunks_of(tiles);
  device::for_each_row(context, tiles.count,
                       kernels::BeginPatchSums{tiles, shape.conv_height() * shape.conv_width(),
                                               conv_patch_sums_count(shape), images, patch_sums.data()});
  float* const partials = workspace.data();
  device::for_each_row(context, chunks.count(),
                       kernels::PatchSums{ConvGeometry(shape), chunks, images, patch_sums.data(), partials});
  const kernels::AddPatchSums add{chunks, {shape.in_channels}, partials, patch_sums.data()};
  device::for_each(context, add.count(), add);
}

void conv_moments(device::Context& context, const FusedConvShape& shape, TileView tiles,
                  Span<const double> patch_sums, const ConvWeights& weights, Span<Moments> moments) {
  expect_shape(shape);
  expect_patch_sums(shape, tiles, patch_sums);
  expect_values("moments", std::ssize(moments), tiles.count * shape.out_channels);
  device::for_each(context, std::ssize(moments),
                   kernels::ConvMoments{patch_sum_tiles(shape, tiles, patch_sums), weights.weight, weights.bias,
                                        moments.data()});
}

void fused_conv_forward(device::Context& context, const FusedConvShape& shape, TileView tiles,
                        tensor::RowSource images, const ConvWeights& weights, const PooledResult& result) {
  expect_shape(shape);
  expect_images(shape, images);
  expect_pooled(shape, images.rows, "out", result.out);
  add_multiply_adds_of_samples(context, tiles, shape.multiply_adds());
  const TileRows rows(tiles);
  device::for_each_row(context, rows.count(),
                       kernels::FusedConvForward{ConvGeometry(shape), rows, images, weights, result});
}

void fused_conv_backward(device::Context& context, const FusedConvShape& shape, const ConvTiles& of,
                         tensor::Matrix gradients) {
  SY_EXPECTS(gradients.rows == of.tiles.count && gradients.cols == shape.weight_count() + shape.out_channels,
             "{} x {} gradients of {} tiles, {} weights and {} biases", gradients.rows, gradients.cols,
             of.tiles.count, shape.weight_count(), shape.out_channels);
  sum_patch_gradients(context, shape, of, nullptr, kernels::StoreInRows{gradients});
}

void fused_conv_bn_backward_sums(device::Context& context, const FusedConvShape& shape, const ConvTiles& of,
                                 const ConvBatchNormView& bn, const ConvTileSums& sums) {
  expect_sums(shape, of.tiles, sums);
  sum_patch_gradients(context, shape, of, sums.patch_sums.data(),
                      kernels::StoreConvSums{shape.weight_count(), shape.out_channels, sums.sum_dy_x.data(),
                                             sums.sum_dy.data()});
  device::for_each(context, of.tiles.count * shape.out_channels,
                   kernels::ConvSumDyXhat{patch_sum_tiles(shape, of.tiles, sums.patch_sums), bn,
                                          sums.sum_dy_x.data(), sums.sum_dy.data()});
}

void fused_conv_bn_backward(device::Context& context, const FusedConvShape& shape, TileView tiles,
                            const ConvBatchNormView& bn, const ConvTileSums& sums, tensor::Matrix d_weight) {
  expect_shape(shape);
  expect_sums(shape, tiles, sums);
  SY_EXPECTS(d_weight.rows == tiles.count && d_weight.cols == shape.weight_count(),
             "{} x {} gradients of {} tiles and {} weights", d_weight.rows, d_weight.cols, tiles.count,
             shape.weight_count());
  device::for_each(context, tiles.count * shape.weight_count(),
                   kernels::ConvBatchNormWeightGradient{patch_sum_tiles(shape, tiles, sums.patch_sums), bn,
                                                        sums.sum_dy.data(), sums.sum_dy_x.data(), d_weight});
}

}  // namespace switchyard::ops
