#include "ops/patch_filters.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/counted.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/kernels/patch_filters.hpp"
#include "ops/rows.hpp"

namespace switchyard::ops {
namespace {

using detail::expect_shape;

index_t chunk_count(index_t rows) {
  return (rows + kernels::patch_filter_chunk - 1) / kernels::patch_filter_chunk;
}

void expect_rows(const PatchFilterShape& shape, const PatchFilterRows& rows) {
  const index_t count = rows.samples.rows;
  SY_EXPECTS(rows.samples.cols == shape.in_features(), "{} numbers a sample for {} patches of {}",
             rows.samples.cols, shape.patches, shape.patch_size);
  if (!shape.is_linear_map())
    expect_shape("filtered", rows.record.filtered, count, shape.filtered_patches() * shape.units());
  if (shape.sums_first()) expect_shape("sums", rows.record.sums, count, shape.patch_size);
}

}  // namespace

void patch_filters_forward(device::Context& context, const PatchFilterShape& shape, const PatchFilterRows& rows,
                           PatchFilterWeights weights, tensor::Matrix out) {
  expect_rows(shape, rows);
  SY_EXPECTS((weights.bias != nullptr) == shape.bias, "a bias and the shape disagree");
  expect_shape("out", out, rows.samples.rows, shape.outputs);
  add_multiply_adds(rows.samples.rows * shape.multiply_adds());
  const index_t size = kernels::PatchFiltersForward::group_size(shape);
  device::for_each_row(
      context, (rows.samples.rows + size - 1) / size,
      kernels::PatchFiltersForward{shape, rows.samples, weights.weight, weights.bias, rows.record, out});
}

index_t patch_filters_workspace_floats(const PatchFilterShape& shape, index_t rows) {
  return chunk_count(rows) * (shape.weight_count() + shape.bias_count());
}

void patch_filters_backward(device::Context& context, const PatchFilterShape& shape,
                            const PatchFilterRows& rows, float* d_weight, float* d_bias) {
  const index_t count = rows.samples.rows;
  expect_rows(shape, rows);
  SY_EXPECTS((d_bias != nullptr) == shape.bias, "a bias gradient and the shape disagree");
  expect_shape("d_out", rows.d_out, count, shape.outputs);
  SY_EXPECTS(std::ssize(rows.workspace) >= patch_filters_workspace_floats(shape, count),
             "{} floats of workspace for {} rows", rows.workspace.size(), count);
  add_multiply_adds(count * shape.multiply_adds());
  if (!shape.is_linear_map()) {
    device::for_each_row(context, count,
                         kernels::PatchFiltersActivationBackward{shape, rows.d_out, rows.record.filtered});
  }
  const tensor::ConstMatrix d_filtered =
      shape.is_linear_map() ? rows.d_out : tensor::ConstMatrix(rows.record.filtered);
  const tensor::RowSource inputs = shape.sums_first() ? tensor::RowSource(rows.record.sums) : rows.samples;
  float* const partials = rows.workspace.data();
  const kernels::PatchFilterGradients gradients{shape, inputs, d_filtered, partials};
  const index_t chunks = chunk_count(count);
  device::for_each_row(context, chunks, gradients);
  const index_t stride = gradients.sum_count();
  const auto add_chunks = [&](index_t first, index_t width, float* to) {
    column_sums(context, tensor::ConstMatrix(partials + first, chunks, width, stride), {to, width});
  };
  add_chunks(0, shape.weight_count(), d_weight);
  if (shape.bias) add_chunks(shape.weight_count(), shape.bias_count(), d_bias);
}

}  // namespace switchyard::ops
