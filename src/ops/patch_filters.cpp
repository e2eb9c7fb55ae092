#include "ops/patch_filters.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/kernels/patch_filters.hpp"
#include "ops/rows.hpp"

namespace switchyard::ops {
namespace {

using detail::expect_shape;

index_t chunk_count(index_t rows) {
  return (rows + kernels::patch_filter_chunk - 1) / kernels::patch_filter_chunk;
}

void expect_record(const PatchFilterShape& shape, const PatchFilterRecord& record, index_t rows) {
  if (!shape.is_linear_map())
    expect_shape("filtered", record.filtered, rows, shape.filtered_patches() * shape.units());
  if (shape.sums_first()) expect_shape("sums", record.sums, rows, shape.patch_size);
}

}  // namespace

void patch_filters_forward(device::Context& context, const PatchFilterShape& shape, tensor::RowSource samples,
                           const float* weight, const float* bias, const PatchFilterRecord& record,
                           tensor::Matrix out) {
  SY_EXPECTS(samples.cols == shape.in_features(), "{} numbers a sample for {} patches of {}", samples.cols,
             shape.patches, shape.patch_size);
  SY_EXPECTS((bias != nullptr) == shape.bias, "a bias and the shape disagree");
  expect_shape("out", out, samples.rows, shape.outputs);
  expect_record(shape, record, samples.rows);
  const index_t size = kernels::PatchFiltersForward::group_size(shape);
  device::for_each_row(context, (samples.rows + size - 1) / size,
                       kernels::PatchFiltersForward{shape, samples, weight, bias, record, out});
}

index_t patch_filters_workspace_floats(const PatchFilterShape& shape, index_t rows) {
  return chunk_count(rows) * (shape.weight_count() + shape.bias_count());
}

void patch_filters_backward(device::Context& context, const PatchFilterShape& shape, tensor::RowSource samples,
                            tensor::ConstMatrix d_out, const PatchFilterRecord& record,
                            std::span<float> workspace, float* d_weight, float* d_bias) {
  SY_EXPECTS(samples.cols == shape.in_features(), "{} numbers a sample for {} patches of {}", samples.cols,
             shape.patches, shape.patch_size);
  SY_EXPECTS((d_bias != nullptr) == shape.bias, "a bias gradient and the shape disagree");
  expect_shape("d_out", d_out, samples.rows, shape.outputs);
  expect_record(shape, record, samples.rows);
  SY_EXPECTS(static_cast<index_t>(workspace.size()) >= patch_filters_workspace_floats(shape, samples.rows),
             "{} floats of workspace for {} rows", workspace.size(), samples.rows);
  if (!shape.is_linear_map()) {
    device::for_each_row(context, samples.rows,
                         kernels::PatchFiltersActivationBackward{shape, d_out, record.filtered});
  }
  const tensor::ConstMatrix d_filtered = shape.is_linear_map() ? d_out : tensor::ConstMatrix(record.filtered);
  const tensor::RowSource inputs = shape.sums_first() ? tensor::RowSource(record.sums) : samples;
  float* const partials = workspace.data();
  const kernels::PatchFilterGradients gradients{shape, inputs, d_filtered, partials};
  const index_t chunks = chunk_count(samples.rows);
  device::for_each_row(context, chunks, gradients);
  const index_t stride = gradients.sum_count();
  const auto add_chunks = [&](index_t first, index_t count, float* to) {
    column_sums(context, tensor::ConstMatrix(partials + first, chunks, count, stride),
                {to, static_cast<std::size_t>(count)});
  };
  add_chunks(0, shape.weight_count(), d_weight);
  if (shape.bias) add_chunks(shape.weight_count(), shape.bias_count(), d_bias);
}

}  // namespace switchyard::ops
