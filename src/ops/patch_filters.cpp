#include "ops/patch_filters.hpp"

#include <algorithm>

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/counted.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/kernels/patch_filters.hpp"

namespace switchyard::ops {
namespace {

using detail::expect_shape;

using kernels::TakenRows;
using kernels::TileChunks;

void expect_rows(const PatchFilterShape& shape, const PatchFilterRows& rows) {
  const index_t count = rows.samples.rows;
  SY_EXPECTS(rows.samples.cols == shape.in_features(), "{} numbers a sample for {} patches of {}",
             rows.samples.cols, shape.patches, shape.patch_size);
  if (!shape.is_linear_map())
    expect_shape("filtered", rows.record.filtered, count, shape.filtered_patches() * shape.units());
  if (shape.sums_first()) expect_shape("sums", rows.record.sums, count, shape.patch_size);
}

}  // namespace

void cut_patches(device::Context& context, tensor::RowSource images, const tensor::SampleShape& image,
                 index_t side, tensor::Matrix out) {
  SY_EXPECTS(side > 0 && image.height % side == 0 && image.width % side == 0 &&
                 images.cols == image.features() && out.cols == images.cols && out.rows == images.rows,
             "{} images of {} values, {} x {} x {}, in squares of {} pixels, to {} of {} values", images.rows,
             images.cols, image.channels, image.height, image.width, side, out.rows, out.cols);
  device::for_each_row(context, images.rows,
                       kernels::CutPatches{images, image.channels, image.height, image.width, side, out});
}

index_t patch_filters_scratch_bytes(const PatchFilterShape& shape) {
  return std::max(kernels::PatchFiltersForward::scratch_bytes(shape),
                  kernels::PatchFiltersActivationBackward::scratch_bytes(shape));
}

void patch_filters_forward(device::Context& context, const PatchFilterShape& shape, TileView tiles,
                           const PatchFilterRows& rows, PatchFilterWeights weights, tensor::Matrix out) {
  expect_rows(shape, rows);
  SY_EXPECTS((weights.bias.first != nullptr) == shape.bias, "a bias and the shape disagree");
  expect_shape("out", out, rows.samples.rows, shape.outputs);
  const TileChunks groups(tiles, kernels::PatchFiltersForward::group_size(shape), TakenRows::all);
  add_multiply_adds(kernels::counted_rows(context, groups) * shape.multiply_adds());
  device::for_each_row(context, groups.count(),
                       kernels::PatchFiltersForward{shape, groups, rows.samples, weights, rows.record, out});
}

index_t patch_filters_workspace_floats(const PatchFilterShape& shape, index_t rows) {
  const index_t chunks = (rows + kernels::patch_filter_chunk - 1) / kernels::patch_filter_chunk;
  return chunks * (shape.weight_count() + shape.bias_count());
}

void patch_filters_backward(device::Context& context, const PatchFilterShape& shape, TileView tiles,
                            const PatchFilterRows& rows, Span<float> workspace, tensor::Matrix gradients) {
  expect_rows(shape, rows);
  expect_shape("gradients", gradients, tiles.count, shape.weight_count() + shape.bias_count());
  expect_shape("d_out", rows.d_out, rows.samples.rows, shape.outputs);
  SY_EXPECTS(std::ssize(workspace) >= tiles.count * patch_filters_workspace_floats(shape, tiles.most_rows),
             "{} floats of workspace for {} tiles of {} rows", workspace.size(), tiles.count, tiles.most_rows);
  const TileChunks chunks(tiles, kernels::patch_filter_chunk, TakenRows::all);
  add_multiply_adds(kernels::counted_rows(context, chunks) * shape.multiply_adds());
  if (!shape.is_linear_map()) {
    const TileRows all(tiles);
    device::for_each_row(context, all.count(),
                         kernels::PatchFiltersActivationBackward{shape, all, rows.d_out, rows.record.filtered});
  }
  const tensor::ConstMatrix d_filtered =
      shape.is_linear_map() ? rows.d_out : tensor::ConstMatrix(rows.record.filtered);
  const tensor::RowSource inputs = shape.sums_first() ? tensor::RowSource(rows.record.sums) : rows.samples;
  float* const partials = workspace.data();
  device::for_each_row(context, chunks.count(),
                       kernels::PatchFilterGradients{shape, chunks, inputs, d_filtered, partials});
  const kernels::AddChunks add(context.device(), chunks, partials, gradients.cols,
                               kernels::StoreInRows{gradients});
  device::for_each_row(context, add.rows(), add);
}

}  // namespace switchyard::ops
