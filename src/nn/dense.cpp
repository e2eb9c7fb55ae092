#include "nn/dense.hpp"

#include "ops/matmul.hpp"
#include "ops/rows.hpp"

namespace switchyard::nn {

Dense::Dense(const std::string& name, index_t in, index_t out, Activation activation, GradientRule weight_rule,
             std::uint64_t seed)
    : in_(in),
      out_(out),
      activation_(activation),
      parameters_{Parameter{name + "/weight", tensor::Tensor({in, out}), weight_rule},
                  Parameter{name + "/bias", tensor::Tensor({out}), GradientRule::per_tile}} {
  initialize_uniform(parameters_[0], seed, in);
  initialize_uniform(parameters_[1], seed, in);
}

void Dense::begin_forward(device::Workspace& workspace, const BatchTiles& tiles, Mode,
                          LayerRecord& record) const {
  const index_t rows = tiles.local_rows();
  record.output = {workspace.allocate<float>(rows * out_).data(), rows, out_};
  // A product needs its rows side by side; scattered ones are gathered, tile by tile, into the record.
  if (record.input.table != nullptr) record.gathered_input = workspace.allocate<float>(rows * in_);
}

void Dense::forward(device::Context& context, const BatchTiles& tiles, index_t tile,
                    LayerRecord& record) const {
  const IndexRange rows = tiles.rows(tile);
  if (rows.size() == 0) return;
  if (record.input.table != nullptr) {
    ops::gather_rows(context, record.input.rows_from(rows.begin, rows.size()),
                     {record.gathered_input.data() + rows.begin * in_, rows.size(), in_});
  }
  const tensor::ConstMatrix x = record.dense_input();
  ops::matmul({.m = rows.size(),
               .n = out_,
               .k = in_,
               .lda = x.stride,
               .ldb = out_,
               .ldc = out_,
               .epilogue = activation_ == Activation::relu ? ops::Epilogue::bias_relu : ops::Epilogue::bias},
              x.row(rows.begin), weight(), record.output.row(rows.begin), bias());
}

void Dense::backward(device::Context& context, const BatchTiles& tiles, index_t tile, LayerRecord& record,
                     tensor::Matrix d_input, float* partial) const {
  const IndexRange rows = tiles.rows(tile);
  const tensor::Matrix dy = record.d_output.rows_from(rows.begin, rows.size());
  if (activation_ == Activation::relu)
    ops::relu_backward(context, record.output.rows_from(rows.begin, rows.size()), dy);
  if (d_input.data != nullptr && rows.size() > 0) {
    // dX = dY W^T
    ops::matmul({.m = rows.size(),
                 .n = in_,
                 .k = out_,
                 .lda = dy.stride,
                 .ldb = out_,
                 .ldc = d_input.stride,
                 .transpose_b = ops::Transpose::yes},
                dy.data, weight(), d_input.row(rows.begin));
  }
  if (parameters_[0].rule == GradientRule::per_tile) {
    whole_rows_gradient(record.dense_input().rows_from(rows.begin, rows.size()), dy, {0, in_}, partial);
    partial += in_ * out_;
  }
  ops::column_sums(context, dy, {partial, static_cast<std::size_t>(out_)});
}

void Dense::whole_rows_gradient(tensor::ConstMatrix input, tensor::ConstMatrix d_output, IndexRange block,
                                float* gradient) const {
  // dW[block] = X[:, block]^T dY
  ops::matmul({.m = block.size(),
               .n = out_,
               .k = input.rows,
               .lda = input.stride,
               .ldb = d_output.stride,
               .ldc = out_,
               .transpose_a = ops::Transpose::yes},
              input.data + block.begin, d_output.data, gradient);
}

}  // namespace switchyard::nn
