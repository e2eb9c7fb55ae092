#include "nn/rms_norm.hpp"

#include "ops/rms_norm.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {

RmsNorm::RmsNorm(Trunk& trunk, const std::string& scope, index_t width)
    : trunk_(&trunk), weight_(trunk.add(scope + "/weight", Role::norm, {width}, BankArray::First::ones)) {}

Cost RmsNorm::cost(index_t width) {
  const auto floats = static_cast<double>(width);
  return {.parameters = width, .active_parameters = width, .row_floats = floats + 1, .partial_floats = floats};
}

tensor::Matrix RmsNorm::forward(const Pass& pass, tensor::ConstMatrix x) {
  Record& record = pass.trace->push<Record>();
  record = {x, pass.workspace().allocate<float>(x.rows)};
  const tensor::Matrix y = tensor::allocate_matrix(pass.workspace(), x.rows, x.cols);
  ops::rms_norm(pass.context, x, trunk_->values(weight_), epsilon, y, record.inverse_rms);
  return y;
}

tensor::Matrix RmsNorm::backward(const Pass& pass, tensor::Matrix d_y, Wants wants) {
  const Record& record = pass.trace->pop<Record>();
  const IndexRange columns = trunk_->columns(weight_);
  trunk_->gradients().sum_shards(pass.context, columns, [&](IndexRange shards, TilePartials rows) {
    ops::rms_norm_weight_gradient(pass.context, pass.tiles().view(shards), record.x, record.inverse_rms, d_y,
                                  rows.first + columns.begin, rows.stride);
  });
  if (wants == Wants::nothing) return {};
  ops::rms_norm_backward(pass.context, record.x, trunk_->values(weight_), record.inverse_rms, d_y, d_y);
  return d_y;
}

}  // namespace switchyard::nn
