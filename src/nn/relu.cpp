#include "nn/relu.hpp"

#include "base/contract.hpp"
#include "ops/rows.hpp"
#include "tensor/allocate.hpp"

namespace switchyard::nn {

void Relu::begin_forward(const Pass& pass, LayerRecord& record) const {
  SY_EXPECTS(record.input.table == nullptr, "a ReLU of scattered rows");
  const index_t rows = pass.tiles().local_rows();
  record.output = tensor::allocate_matrix(pass.workspace(), rows, features_);
}

void Relu::forward(const Pass& pass, index_t tile, LayerRecord& record) const {
  const IndexRange rows = pass.tiles().rows(tile);
  const tensor::RowSource x = record.input.rows_from(rows);
  ops::relu(pass.context, {x.base, rows.size(), features_, x.stride}, record.output.rows_from(rows));
}

void Relu::backward(const Pass& pass, index_t tile, LayerRecord& record, tensor::Matrix d_input, float*) const {
  const IndexRange rows = pass.tiles().rows(tile);
  ops::relu_backward(pass.context, record.output.rows_from(rows), record.d_output.rows_from(rows),
                     d_input.rows_from(rows));
}

}  // namespace switchyard::nn
