#include "nn/cosine.hpp"

#include <array>

#include "base/contract.hpp"
#include "nn/network_options.hpp"
#include "ops/matmul.hpp"
#include "ops/rows.hpp"
#include "ops/unit_rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {
namespace {

struct Record : LayerRecord {
  tensor::Matrix units;  // [rows, in], the input's rows made as long as 1
  Span<float> inverse_norms;
  Span<float> along;  // [tiles, out], see ops::unit_rows_backward
};

class Cosine final : public Layer {
 public:
  Cosine(const std::string& name, const CosineShape& shape)
      : shape_(shape),
        parameters_{Parameter{{name + "/weight", {out(), in()}, BankArray::First::drawn, in()}},
                    Parameter{{name + "/log_scale", {1}, BankArray::First::zeros}}} {}

  index_t in_features() const override { return in(); }
  index_t out_features() const override { return out(); }
  index_t multiply_adds() const override { return in() * out(); }
  double activation_floats() const override { return static_cast<double>(2 * out() + in()); }
  Span<Parameter> parameters() override { return parameters_; }
  void hold(index_t sets, device::MemoryKind memory) override {
    units_ = device::Buffer<float>(sets * in() * out(), memory);
    inverse_norms_ = device::Buffer<float>(sets * out(), memory);
  }
  void values_changed(device::Context& context) override {
    for (index_t set = 0; set * out() < inverse_norms_.count(); ++set)
      ops::unit_rows(context, {parameters_[0].of(set), out(), in()}, length(set),
                     {units_.data() + set * in() * out(), out(), in()},
                     {inverse_norms_.data() + set * out(), out()});
  }

  std::unique_ptr<LayerRecord> make_record() const override { return std::make_unique<Record>(); }
  void begin_forward(const Pass& pass, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    SY_EXPECTS(record.input.in_order(), "a cosine of scattered rows");
    const index_t rows = pass.tiles().local_rows();
    record.output = tensor::allocate_matrix(pass.workspace(), rows, out());
    record.units = tensor::allocate_matrix(pass.workspace(), rows, in());
    record.inverse_norms = pass.workspace().allocate<float>(rows);
  }
  bool forward_takes_pieces() const override { return true; }
  void forward(const Pass& pass, const TileRun& run, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    pass.tiles().for_each_set(run, [&](index_t set, IndexRange rows) {
      ops::unit_rows(pass.context, record.input.rows_from(rows).matrix(), {}, record.units.rows_from(rows),
                     record.inverse_norms.subspan(rows.begin, rows.size()));
      ops::matmul({.m = rows.size(),
                   .n = out(),
                   .k = in(),
                   .lda = in(),
                   .ldb = in(),
                   .ldc = out(),
                   .transpose_b = ops::Transpose::yes},
                  record.units.row(rows.begin), units(set).data, record.output.row(rows.begin));
    });
  }

  void begin_backward(const Pass& pass, LayerRecord& of_layer) const override {
    static_cast<Record&>(of_layer).along = pass.workspace().allocate<float>(pass.tiles().local_count() * out());
  }
  void backward(const Pass& pass, IndexRange tiles, LayerRecord& of_layer, tensor::Matrix d_input,
                TilePartials partials) const override {
    auto& record = static_cast<Record&>(of_layer);
    pass.tiles().for_each_set(pass.tiles().run(tiles), [&](index_t set, IndexRange rows) {
      if (d_input.data != nullptr) backward_rows(pass.context, set, rows, record, d_input.rows_from(rows));
    });
    for (index_t tile = tiles.begin; tile < tiles.end; ++tile)
      weight_gradient(pass, tile, record, partials.of(tile - tiles.begin));
  }

 private:
  index_t in() const { return shape_.in; }
  index_t out() const { return shape_.out; }
  // Of the vectors, so that products with them are divided by the temperature.
  ops::RowLength length(index_t set) const {
    return {static_cast<float>(1 / shape_.temperature), parameters_[1].of(set)};
  }
  tensor::ConstMatrix units(index_t set) const { return {units_.data() + set * in() * out(), out(), in()}; }
  Span<const float> norms(index_t set) const { return {inverse_norms_.data() + set * out(), out()}; }

  void backward_rows(device::Context& context, index_t set, IndexRange rows, const Record& record,
                     tensor::Matrix d_input) const {
    ops::matmul({.m = rows.size(), .n = in(), .k = out(), .lda = out(), .ldb = in(), .ldc = d_input.stride},
                record.d_output.row(rows.begin), units(set).data, d_input.data);
    ops::unit_rows_backward(context, record.units.rows_from(rows), {},
                            record.inverse_norms.subspan(rows.begin, rows.size()), d_input);
  }

  // By the vectors as they are multiplied: dY^T X. The way from there is linear, so that a tile may go it
  // alone.
  void weight_gradient(const Pass& pass, index_t tile, const Record& record, float* partial) const {
    const IndexRange rows = pass.tiles().rows(tile);
    const index_t set = pass.tiles().set(tile);
    ops::matmul({.m = out(),
                 .n = in(),
                 .k = rows.size(),
                 .lda = out(),
                 .ldb = in(),
                 .ldc = in(),
                 .transpose_a = ops::Transpose::yes},
                record.d_output.row(rows.begin), record.units.row(rows.begin), partial);
    const Span<float> along = record.along.subspan(tile * out(), out());
    ops::unit_rows_backward(pass.context, units(set), length(set), norms(set), {partial, out(), in()}, along);
    ops::column_sums(pass.context, {along.data(), out(), 1}, {partial + out() * in(), 1});
  }

  CosineShape shape_;
  std::array<Parameter, 2> parameters_;
  device::Buffer<float> units_;          // [sets, out, in]
  device::Buffer<float> inverse_norms_;  // [sets, out]
};

}  // namespace

std::unique_ptr<Layer> CosineShape::make(LayerNames& names, const NetworkOptions&) const {
  return std::make_unique<Cosine>(names.next("cosine"), *this);
}

}  // namespace switchyard::nn
