#include "nn/global_average_pool.hpp"

#include "base/contract.hpp"
#include "nn/layer_text.hpp"
#include "nn/network_options.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {
namespace {

class GlobalAveragePool final : public Layer {
 public:
  explicit GlobalAveragePool(const GlobalAveragePoolShape& shape) : shape_(shape) {}

  index_t in_features() const override { return shape_.image.channels * shape_.image.places; }
  index_t out_features() const override { return shape_.image.channels; }
  Span<Parameter> parameters() override { return {}; }

  void begin_forward(const Pass& pass, LayerRecord& record) const override {
    SY_EXPECTS(record.input.in_order(), "scattered rows to be averaged");
    record.output = tensor::allocate_matrix(pass.workspace(), pass.tiles().local_rows(), out_features());
  }
  bool forward_takes_pieces() const override { return true; }
  void forward(const Pass& pass, const TileRun& run, LayerRecord& record) const override {
    ops::average_places(pass.context, record.input.rows_from(run.rows).matrix(), shape_.image, shape_.in_order,
                        record.output.rows_from(run.rows));
  }
  void backward(const Pass& pass, IndexRange tiles, LayerRecord& record, tensor::Matrix d_input,
                TilePartials) const override {
    if (d_input.data == nullptr) return;
    const IndexRange rows = pass.tiles().rows(tiles);
    ops::average_places_backward(pass.context, record.d_output.rows_from(rows), shape_.image, shape_.in_order,
                                 d_input.rows_from(rows));
  }

 private:
  GlobalAveragePoolShape shape_;
};

}  // namespace

std::optional<GlobalAveragePoolShape> GlobalAveragePoolShape::read(LayerText& text) {
  if (!text.take(LayerSpec::Kind::global_average_pool)) return {};
  const GlobalAveragePoolShape shape{{text.sample.channels, text.sample.height * text.sample.width},
                                     text.order};
  text.sample = {shape.image.channels, 1, 1};
  text.order = ops::ImageOrder::channels_first;
  return shape;
}

std::unique_ptr<Layer> GlobalAveragePoolShape::make(LayerNames&, const NetworkOptions&) const {
  return std::make_unique<GlobalAveragePool>(*this);
}

}  // namespace switchyard::nn
