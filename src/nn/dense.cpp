#include "nn/dense.hpp"

#include "base/contract.hpp"
#include "ops/convert.hpp"
#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {

struct Dense::Record : LayerRecord {
  Span<float> gathered_input;      // scattered rows side by side, as a product needs them
  Span<ops::bfloat16> input_bf16;  // products in bf16: copies
  Span<ops::bfloat16> d_output_bf16;
};

std::unique_ptr<LayerRecord> Dense::make_record() const { return std::make_unique<Record>(); }

Dense::Dense(const std::string& name, index_t in, index_t out, const Options& options)
    : in_(in),
      out_(out),
      options_(options),
      parameters_{Parameter{{name + "/weight", {in, out}, BankArray::First::drawn, in}, options.weight_rule},
                  Parameter{{name + "/bias", {out}, BankArray::First::drawn, in}, GradientRule::per_tile}} {
  SY_EXPECTS(options.bias || options.activation == Activation::none, "{} has a ReLU and no bias", name);
}

void Dense::hold(index_t sets) {
  if (in_bf16()) weight_bf16_ = device::Buffer<ops::bfloat16>(sets * weight().stride);
}

void Dense::values_changed(device::Context& context) {
  if (weight_bf16_.count() > 0)
    ops::to_bfloat16(context, {weight().values, weight_bf16_.count()}, weight_bf16_.span());
}

void Dense::begin_forward(const Pass& pass, LayerRecord& of_layer) const {
  auto& record = static_cast<Record&>(of_layer);
  const index_t rows = pass.tiles().local_rows();
  SY_EXPECTS(!record.input.in_order() || record.input.stride[0] == in_, "rows of {} floats lie {} apart", in_,
             record.input.stride[0]);
  record.output = tensor::allocate_matrix(pass.workspace(), rows, out_);
  if (!record.input.in_order()) record.gathered_input = pass.workspace().allocate<float>(rows * in_);
  if (in_bf16()) record.input_bf16 = pass.workspace().allocate<ops::bfloat16>(rows * in_);
}

void Dense::begin_backward(const Pass& pass, LayerRecord& of_layer) const {
  auto& record = static_cast<Record&>(of_layer);
  if (in_bf16())
    record.d_output_bf16 = pass.workspace().allocate<ops::bfloat16>(pass.tiles().local_rows() * out_);
}

ProductRows Dense::input_rows(const Record& record) const {
  const tensor::RowSource& x = record.input;
  if (in_bf16()) return {true, nullptr, record.input_bf16.data(), x.rows, x.cols};
  return {false, x.in_order() ? x.base[0] : record.gathered_input.data(), nullptr, x.rows, x.cols};
}

ProductRows Dense::d_output_rows(const Record& record) const {
  const tensor::Matrix& dy = record.d_output;
  if (in_bf16()) return {true, nullptr, record.d_output_bf16.data(), dy.rows, dy.cols};
  return {false, dy.data, nullptr, dy.rows, dy.cols};
}

ProductPair Dense::product_rows(const LayerRecord& of_layer) const {
  const auto& record = static_cast<const Record&>(of_layer);
  return {input_rows(record), d_output_rows(record)};
}

// rows times the weight of their set, in the layer's precision.
void Dense::product(const ops::MatmulShape& shape, index_t set, const ProductRows& rows, float* result,
                    const float* bias) const {
  if (rows.in_bf16) {
    ops::matmul(shape, rows.bf16, weight_bf16_.data() + set * weight().stride, result, bias);
  } else {
    ops::matmul(shape, rows.f32, weight().of(set), result, bias);
  }
}

ops::Epilogue Dense::epilogue() const {
  if (!options_.bias) return ops::Epilogue::none;
  return options_.activation == Activation::relu ? ops::Epilogue::bias_relu : ops::Epilogue::bias;
}

void Dense::forward(const Pass& pass, index_t tile, LayerRecord& of_layer) const {
  auto& record = static_cast<Record&>(of_layer);
  const IndexRange rows = pass.tiles().rows(tile);
  if (rows.empty()) return;
  const tensor::RowSource x = record.input.rows_from(rows);
  const index_t first = rows.begin * in_;
  const index_t count = rows.size() * in_;
  if (!x.in_order()) {
    ops::gather_rows(pass.context, x, {record.gathered_input.data() + first, rows.size(), in_});
  }
  if (in_bf16()) {
    const float* const source = x.in_order() ? x.base[0] : record.gathered_input.data() + first;
    ops::to_bfloat16(pass.context, {source, count}, record.input_bf16.subspan(first, count));
  }
  const index_t set = pass.tiles().set(tile);
  product({.m = rows.size(), .n = out_, .k = in_, .lda = in_, .ldb = out_, .ldc = out_, .epilogue = epilogue()},
          set, input_rows(record).rows_from(rows), record.output.row(rows.begin), bias(set));
}

void Dense::backward(const Pass& pass, index_t tile, LayerRecord& of_layer, tensor::Matrix d_input,
                     float* partial) const {
  auto& record = static_cast<Record&>(of_layer);
  const IndexRange rows = pass.tiles().rows(tile);
  const tensor::Matrix dy = record.d_output.rows_from(rows);
  if (options_.activation == Activation::relu) {
    ops::relu_backward(pass.context, record.output.rows_from(rows), dy, dy);
  }
  if (in_bf16()) {
    const index_t count = rows.size() * out_;
    ops::to_bfloat16(pass.context, {dy.data, count}, record.d_output_bf16.subspan(rows.begin * out_, count));
  }
  const ProductRows dy_rows = d_output_rows(record).rows_from(rows);
  if (d_input.data != nullptr && !rows.empty()) {
    // dX = dY W^T
    product({.m = rows.size(),
             .n = in_,
             .k = out_,
             .lda = out_,
             .ldb = out_,
             .ldc = d_input.stride,
             .transpose_b = ops::Transpose::yes},
            pass.tiles().set(tile), dy_rows, d_input.row(rows.begin), nullptr);
  }
  if (options_.weight_rule == GradientRule::per_tile) {
    whole_rows_gradient({input_rows(record).rows_from(rows), dy_rows}, {0, in_}, partial, Gradient::written);
    partial += in_ * out_;
  }
  if (options_.bias) ops::column_sums(pass.context, dy, {partial, out_});
}

void Dense::whole_rows_gradient(const ProductPair& rows, IndexRange block, float* gradient,
                                Gradient how) const {
  // dW[block] = X[:, block]^T dY
  const ops::MatmulShape shape{.m = block.size(),
                               .n = out_,
                               .k = rows.input.rows,
                               .lda = in_,
                               .ldb = out_,
                               .ldc = out_,
                               .transpose_a = ops::Transpose::yes,
                               .accumulate = how == Gradient::added};
  if (rows.input.in_bf16) {
    ops::matmul(shape, rows.input.bf16 + block.begin, rows.d_output.bf16, gradient);
  } else {
    ops::matmul(shape, rows.input.f32 + block.begin, rows.d_output.f32, gradient);
  }
}

void Relu::begin_forward(const Pass& pass, LayerRecord& record) const {
  SY_EXPECTS(record.input.in_order(), "a ReLU of scattered rows");
  record.output = tensor::allocate_matrix(pass.workspace(), pass.tiles().local_rows(), features_);
}

void Relu::forward(const Pass& pass, index_t tile, LayerRecord& record) const {
  const IndexRange rows = pass.tiles().rows(tile);
  const tensor::RowSource x = record.input.rows_from(rows);
  ops::relu(pass.context, x.matrix(), record.output.rows_from(rows));
}

void Relu::backward(const Pass& pass, index_t tile, LayerRecord& record, tensor::Matrix d_input, float*) const {
  const IndexRange rows = pass.tiles().rows(tile);
  ops::relu_backward(pass.context, record.output.rows_from(rows), record.d_output.rows_from(rows),
                     d_input.rows_from(rows));
}

}  // namespace switchyard::nn
