#include "nn/cosine.hpp"

#include <array>

#include "base/contract.hpp"
#include "nn/network_options.hpp"
#include "nn/products.hpp"
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
  // Of one set: a gate's.
  void hold(index_t sets, device::MemoryKind memory) override {
    SY_EXPECTS(sets == 1, "cosines of {} sets", sets);
    units_ = device::Buffer<float>(in() * out(), memory);
    inverse_norms_ = device::Buffer<float>(out(), memory);
  }
  void values_changed(device::Context& context) override {
    ops::unit_rows(context, {parameters_[0].of(0), out(), in()}, length(), {units_.data(), out(), in()},
                   inverse_norms_.span());
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
    ops::unit_rows(pass.context, record.input.rows_from(run.rows).matrix(), {},
                   record.units.rows_from(run.rows),
                   record.inverse_norms.subspan(run.rows.begin, run.rows.size()));
    ops::matmul(pass.context,
                {.m = run.rows.size(),
                 .n = out(),
                 .k = in(),
                 .lda = in(),
                 .ldb = in(),
                 .ldc = out(),
                 .transpose_b = ops::Transpose::yes},
                record.units.row(run.rows.begin), units_.data(), record.output.row(run.rows.begin));
  }

  void begin_backward(const Pass& pass, LayerRecord& of_layer) const override {
    static_cast<Record&>(of_layer).along = pass.workspace().allocate<float>(pass.tiles().local_count() * out());
  }
  void backward(const Pass& pass, IndexRange tiles, LayerRecord& of_layer, tensor::Matrix d_input,
                TilePartials partials) const override {
    auto& record = static_cast<Record&>(of_layer);
    if (d_input.data != nullptr) {
      const IndexRange rows = pass.tiles().rows(tiles);
      backward_rows(pass.context, rows, record, d_input.rows_from(rows));
    }
    weight_gradients(pass, tiles, record, partials);
  }

 private:
  index_t in() const { return shape_.in; }
  index_t out() const { return shape_.out; }
  // Of the vectors, so that products with them are divided by the temperature.
  ops::RowLength length() const { return {static_cast<float>(1 / shape_.temperature), parameters_[1].of(0)}; }

  void backward_rows(device::Context& context, IndexRange rows, const Record& record,
                     tensor::Matrix d_input) const {
    ops::matmul(context,
                {.m = rows.size(), .n = in(), .k = out(), .lda = out(), .ldb = in(), .ldc = d_input.stride},
                record.d_output.row(rows.begin), units_.data(), d_input.data);
    ops::unit_rows_backward(context, record.units.rows_from(rows), {},
                            record.inverse_norms.subspan(rows.begin, rows.size()), d_input);
  }

  // By the vectors as they are multiplied: dY^T X. The way from there is linear, so that a tile may go it
  // alone.
  void weight_gradients(const Pass& pass, IndexRange tiles, const Record& record, TilePartials partials) const {
    multiply_tiles<float>(
        pass, tiles,
        {record.d_output.data, record.d_output.stride, out(), record.units.data, record.units.stride, in()},
        partials);
    ops::tile_unit_rows_backward(pass.context, tiles.size(),
                                 {{units_.data(), out(), in()},
                                  length(),
                                  inverse_norms_.data(),
                                  partials.first,
                                  partials.stride,
                                  partials.first + out() * in()},
                                 record.along.subspan(tiles.begin * out(), tiles.size() * out()));
  }

  CosineShape shape_;
  std::array<Parameter, 2> parameters_;
  device::Buffer<float> units_;          // [out, in]
  device::Buffer<float> inverse_norms_;  // [out]
};

}  // namespace

std::unique_ptr<Layer> CosineShape::make(LayerNames& names, const NetworkOptions&) const {
  return std::make_unique<Cosine>(names.next("cosine"), *this);
}

}  // namespace switchyard::nn
