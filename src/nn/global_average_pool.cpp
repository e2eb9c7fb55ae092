#include "nn/global_average_pool.hpp"

#include "nn/layer_text.hpp"
#include "nn/network_options.hpp"
#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {
namespace {

struct Record : LayerRecord {
  tensor::Matrix gathered_input;  // scattered rows side by side, as they are averaged; else without data
};

class GlobalAveragePool final : public Layer {
 public:
  explicit GlobalAveragePool(const GlobalAveragePoolShape& shape) : shape_(shape) {}

  index_t in_features() const override { return shape_.image.channels * shape_.image.places; }
  index_t out_features() const override { return shape_.image.channels; }
  double scattered_floats() const override { return static_cast<double>(in_features()); }
  Span<Parameter> parameters() override { return {}; }

  std::unique_ptr<LayerRecord> make_record() const override { return std::make_unique<Record>(); }
  void begin_forward(const Pass& pass, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    const index_t rows = pass.tiles().local_rows();
    record.output = tensor::allocate_matrix(pass.workspace(), rows, out_features());
    record.gathered_input = {};
    if (!record.input.in_order())
      record.gathered_input = tensor::allocate_matrix(pass.workspace(), rows, in_features());
  }
  bool forward_takes_pieces() const override { return true; }
  void forward(const Pass& pass, const TileRun& run, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    if (run.rows.empty()) return;
    const tensor::RowSource input = record.input.rows_from(run.rows);
    if (!input.in_order()) ops::gather_rows(pass.context, input, record.gathered_input.rows_from(run.rows));
    ops::average_places(pass.context,
                        input.in_order() ? input.matrix() : record.gathered_input.rows_from(run.rows),
                        shape_.image, shape_.in_order, record.output.rows_from(run.rows));
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
