#include "nn/patch_filters.hpp"

#include <fmt/format.h>

#include "base/contract.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {

struct PatchFilters::Record : LayerRecord {
  tensor::Matrix patch_sums, filtered;  // see ops::PatchFilterRecord
  Span<float> scratch;                  // [tiles, workspace_floats]
};

std::unique_ptr<LayerRecord> PatchFilters::make_record() const { return std::make_unique<Record>(); }

PatchFilters::PatchFilters(const std::string& name, const ops::PatchFilterShape& shape) : shape_(shape) {
  const auto add = [&](std::string_view array, tensor::Shape sizes) {
    parameters_.push_back(
        {{fmt::format("{}/{}", name, array), std::move(sizes), BankArray::First::drawn, shape.patch_size}});
  };
  add("weight", {shape.patch_size, shape.units()});
  if (shape.bias) add("bias", {shape.units()});
}

double PatchFilters::activation_floats() const {
  index_t floats = 2 * shape_.outputs;
  if (shape_.sums_first()) floats += shape_.patch_size;
  if (!shape_.is_linear_map()) floats += shape_.filtered_patches() * shape_.units();
  return static_cast<double>(floats);
}

void PatchFilters::begin_forward(const Pass& pass, LayerRecord& of_layer) const {
  auto& record = static_cast<Record&>(of_layer);
  const index_t rows = pass.tiles().local_rows();
  const auto matrix = [&](index_t cols) { return tensor::allocate_matrix(pass.workspace(), rows, cols); };
  record.output = matrix(shape_.outputs);
  record.filtered =
      shape_.is_linear_map() ? tensor::Matrix{} : matrix(shape_.filtered_patches() * shape_.units());
  record.patch_sums = shape_.sums_first() ? matrix(shape_.patch_size) : tensor::Matrix{};
}

ops::PatchFilterRows PatchFilters::rows_of(const Record& record, IndexRange rows) {
  const auto part = [&](const tensor::Matrix& all) {
    return all.data != nullptr ? all.rows_from(rows) : tensor::Matrix{};
  };
  return {record.input.rows_from(rows), {part(record.patch_sums), part(record.filtered)}};
}

void PatchFilters::forward(const Pass& pass, index_t tile, LayerRecord& of_layer) const {
  auto& record = static_cast<Record&>(of_layer);
  const IndexRange rows = pass.tiles().rows(tile);
  const index_t set = pass.tiles().set(tile);
  ops::patch_filters_forward(pass.context, shape_, rows_of(record, rows),
                             {parameters_[0].of(set), shape_.bias ? parameters_[1].of(set) : nullptr},
                             record.output.rows_from(rows));
}

void PatchFilters::begin_backward(const Pass& pass, LayerRecord& of_layer) const {
  auto& record = static_cast<Record&>(of_layer);
  record.scratch =
      pass.workspace().allocate<float>(pass.tiles().local_count() * workspace_floats(pass.tiles()));
}

void PatchFilters::backward(const Pass& pass, index_t tile, LayerRecord& of_layer, tensor::Matrix d_input,
                            float* partial) const {
  auto& record = static_cast<Record&>(of_layer);
  SY_EXPECTS(d_input.data == nullptr, "patch filters are a network's first layer and give no input gradient");
  const IndexRange rows = pass.tiles().rows(tile);
  const index_t floats = workspace_floats(pass.tiles());
  ops::PatchFilterRows of_tile = rows_of(record, rows);
  of_tile.d_out = record.d_output.rows_from(rows);
  of_tile.workspace = record.scratch.subspan(tile * floats, floats);
  ops::patch_filters_backward(pass.context, shape_, of_tile, partial,
                              shape_.bias ? partial + shape_.weight_count() : nullptr);
}

}  // namespace switchyard::nn
