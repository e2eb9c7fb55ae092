#include "nn/row_function.hpp"

#include "base/contract.hpp"
#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {
namespace {

// The gradient follows from the output.
class RowFunction final : public Layer {
 public:
  struct Functions {
    void (*forward)(device::Context&, tensor::ConstMatrix x, tensor::Matrix y);
    void (*backward)(device::Context&, tensor::ConstMatrix y, tensor::ConstMatrix d_y, tensor::Matrix d_x);
  };
  RowFunction(index_t features, const Functions& functions) : features_(features), functions_(functions) {}

  index_t in_features() const override { return features_; }
  index_t out_features() const override { return features_; }
  Span<Parameter> parameters() override { return {}; }

  void begin_forward(const Pass& pass, LayerRecord& record) const override {
    SY_EXPECTS(record.input.in_order(), "a function of scattered rows");
    record.output = tensor::allocate_matrix(pass.workspace(), pass.tiles().local_rows(), features_);
  }
  bool forward_takes_pieces() const override { return true; }
  void forward(const Pass& pass, const TileRun& run, LayerRecord& record) const override {
    functions_.forward(pass.context, record.input.rows_from(run.rows).matrix(),
                       record.output.rows_from(run.rows));
  }
  void backward(const Pass& pass, IndexRange tiles, LayerRecord& record, tensor::Matrix d_input,
                TilePartials) const override {
    const IndexRange rows = pass.tiles().rows(tiles);
    functions_.backward(pass.context, record.output.rows_from(rows), record.d_output.rows_from(rows),
                        d_input.rows_from(rows));
  }

 private:
  index_t features_;
  Functions functions_;
};

}  // namespace

std::unique_ptr<Layer> RowFunctionShape::make(LayerNames&, const NetworkOptions&) const {
  switch (kind) {
    case Kind::relu:
      return std::make_unique<RowFunction>(features, RowFunction::Functions{ops::relu, ops::relu_backward});
    case Kind::log_softmax:
      return std::make_unique<RowFunction>(features,
                                           RowFunction::Functions{ops::log_softmax, ops::log_softmax_backward});
  }
  return nullptr;
}

}  // namespace switchyard::nn
