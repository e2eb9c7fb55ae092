#include "nn/row_function.hpp"

#include "base/contract.hpp"
#include "ops/glu.hpp"
#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {
namespace {

using tensor::ConstMatrix, tensor::Matrix;

class RowFunction final : public Layer {
 public:
  struct Functions {
    void (*forward)(device::Context&, ConstMatrix x, Matrix y);
    // The gradient follows from the output, or from the input.
    enum class Of { output, input } of;
    void (*backward)(device::Context&, ConstMatrix x_or_y, ConstMatrix d_y, Matrix d_x);
  };
  RowFunction(index_t in, index_t out, const Functions& functions)
      : in_(in), out_(out), functions_(functions) {}

  index_t in_features() const override { return in_; }
  index_t out_features() const override { return out_; }
  Span<Parameter> parameters() override { return {}; }

  void begin_forward(const Pass& pass, LayerRecord& record) const override {
    SY_EXPECTS(record.input.in_order(), "a function of scattered rows");
    record.output = tensor::allocate_matrix(pass.workspace(), pass.tiles().local_rows(), out_);
  }
  bool forward_takes_pieces() const override { return true; }
  void forward(const Pass& pass, const TileRun& run, LayerRecord& record) const override {
    functions_.forward(pass.context, record.input.rows_from(run.rows).matrix(),
                       record.output.rows_from(run.rows));
  }
  void backward(const Pass& pass, IndexRange tiles, LayerRecord& record, tensor::Matrix d_input,
                TilePartials) const override {
    const IndexRange rows = pass.tiles().rows(tiles);
    const ConstMatrix kept = functions_.of == Functions::Of::output ? ConstMatrix(record.output.rows_from(rows))
                                                                    : record.input.rows_from(rows).matrix();
    functions_.backward(pass.context, kept, record.d_output.rows_from(rows), d_input.rows_from(rows));
  }

 private:
  index_t in_, out_;
  Functions functions_;
};

}  // namespace

std::unique_ptr<Layer> RowFunctionShape::make(LayerNames&, const NetworkOptions&) const {
  using Functions = RowFunction::Functions;
  const auto layer = [&](index_t in, const Functions& functions) {
    return std::make_unique<RowFunction>(in, features, functions);
  };
  switch (kind) {
    case Kind::relu:
      return layer(features, {ops::relu, Functions::Of::output, ops::relu_backward});
    case Kind::log_softmax:
      return layer(features, {ops::log_softmax, Functions::Of::output, ops::log_softmax_backward});
    case Kind::swiglu:
      return layer(2 * features, {ops::swiglu, Functions::Of::input, ops::swiglu_backward});
  }
  return nullptr;
}

}  // namespace switchyard::nn
