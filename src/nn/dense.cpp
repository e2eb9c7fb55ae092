#include "nn/dense.hpp"

#include <array>

#include "base/contract.hpp"
#include "nn/layer_text.hpp"
#include "nn/network_options.hpp"
#include "nn/products.hpp"
#include "ops/convert.hpp"
#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {
namespace {

struct Record : LayerRecord {
  Span<float> gathered_input;      // scattered rows side by side, as a product needs them
  Span<ops::bfloat16> input_bf16;  // products in bf16: copies
  Span<ops::bfloat16> d_output_bf16;
};

class Dense final : public Layer {
 public:
  // In bf16, products read copies of rows and weights and accumulate in float32; all that is kept is float32.
  Dense(const std::string& name, const DenseShape& shape, const NetworkOptions& options)
      : shape_(shape),
        in_bf16_(options.precision == Precision::bf16),
        sets_of_all_ranks_(options.sets_of_all_ranks),
        parameters_{Parameter{{name + "/weight", {in(), out()}, BankArray::First::drawn, in()},
                              options.policy.rule(in(), out())},
                    Parameter{{name + "/bias", {out()}, BankArray::First::drawn, in(), Role::bias}}} {
    SY_EXPECTS(shape.bias || !shape.relu, "{} has a ReLU and no bias", name);
  }

  index_t in_features() const override { return in(); }
  index_t out_features() const override { return out(); }
  index_t multiply_adds() const override { return in() * out(); }
  double activation_floats() const override {
    return 2.0 * static_cast<double>(out()) + (in_bf16_ ? 0.5 * static_cast<double>(in() + out()) : 0.0);
  }
  double scattered_floats() const override { return static_cast<double>(in()); }
  Span<Parameter> parameters() override { return Span(parameters_).first(shape_.bias ? 2 : 1); }
  void hold(index_t sets, device::MemoryKind memory) override {
    if (in_bf16_) weight_bf16_ = device::Buffer<ops::bfloat16>(sets * weight().stride, memory);
  }
  void values_changed(device::Context& context) override {
    if (weight_bf16_.count() > 0)
      ops::to_bfloat16(context, {weight().values, weight_bf16_.count()}, weight_bf16_.span());
  }

  std::unique_ptr<LayerRecord> make_record() const override { return std::make_unique<Record>(); }
  void begin_forward(const Pass& pass, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    const index_t rows = pass.tiles().local_rows();
    SY_EXPECTS(!record.input.in_order() || record.input.stride[0] == in(), "rows of {} floats lie {} apart",
               in(), record.input.stride[0]);
    record.output = tensor::allocate_matrix(pass.workspace(), rows, out());
    if (!record.input.in_order()) record.gathered_input = pass.workspace().allocate<float>(rows * in());
    if (in_bf16_) record.input_bf16 = pass.workspace().allocate<ops::bfloat16>(rows * in());
  }
  bool forward_takes_pieces() const override { return true; }
  void forward(const Pass& pass, const TileRun& run, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    if (run.rows.empty()) return;
    take_input(pass.context, run.rows, record);
    product(pass, run,
            {.n = out(),
             .k = in(),
             .epilogue = epilogue(),
             .lda = in(),
             .ldb = out(),
             .c = record.output.data,
             .ldc = out()},
            input_rows(record));
  }

  void begin_backward(const Pass& pass, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    if (in_bf16_)
      record.d_output_bf16 = pass.workspace().allocate<ops::bfloat16>(pass.tiles().local_rows() * out());
  }
  void backward(const Pass& pass, IndexRange tiles, LayerRecord& of_layer, tensor::Matrix d_input,
                TilePartials partials) const override {
    auto& record = static_cast<Record&>(of_layer);
    const TileRun run = pass.tiles().run(tiles);
    take_gradient(pass.context, run.rows, record);
    if (d_input.data != nullptr && !run.rows.empty()) {
      // dX = dY W^T
      product(pass, run,
              {.n = in(),
               .k = out(),
               .transpose_b = ops::Transpose::yes,
               .lda = out(),
               .ldb = out(),
               .c = d_input.data,
               .ldc = d_input.stride},
              product_rows(record).d_output);
    }
    index_t column = 0;
    if (weight().rule == GradientRule::per_tile) {
      product_gradients_of_tiles(pass, tiles, product_rows(record), partials);
      column = in() * out();
    }
    if (shape_.bias)
      ops::tile_column_sums(pass.context, pass.tiles().view(tiles), record.d_output, partials.first + column,
                            partials.stride);
  }

  ProductPair product_rows(const LayerRecord& of_layer) const override {
    const auto& record = static_cast<const Record&>(of_layer);
    const tensor::Matrix& dy = record.d_output;
    return {input_rows(record), in_bf16_
                                    ? ProductRows{true, nullptr, record.d_output_bf16.data(), dy.rows, dy.cols}
                                    : ProductRows{false, dy.data, nullptr, dy.rows, dy.cols}};
  }
  void whole_rows_gradient(device::Context& context, const ProductPair& rows, IndexRange block, float* gradient,
                           Gradient how) const override {
    product_gradient(context, rows, block, gradient, how);
  }

 private:
  index_t in() const { return shape_.in; }
  index_t out() const { return shape_.out; }
  const Parameter& weight() const { return parameters_[0]; }
  ops::Epilogue epilogue() const {
    if (!shape_.bias) return ops::Epilogue::none;
    return shape_.relu ? ops::Epilogue::bias_relu : ops::Epilogue::bias;
  }
  ProductRows input_rows(const Record& record) const {
    const tensor::RowSource& x = record.input;
    if (in_bf16_) return {true, nullptr, record.input_bf16.data(), x.rows, x.cols};
    return {false, x.in_order() ? x.base[0] : record.gathered_input.data(), nullptr, x.rows, x.cols};
  }
  // Rows of the input as a product reads them.
  void take_input(device::Context& context, IndexRange rows, Record& record) const {
    const tensor::RowSource x = record.input.rows_from(rows);
    const index_t first = rows.begin * in();
    const index_t count = rows.size() * in();
    if (!x.in_order()) ops::gather_rows(context, x, {record.gathered_input.data() + first, rows.size(), in()});
    if (in_bf16_) {
      const float* const source = x.in_order() ? x.base[0] : record.gathered_input.data() + first;
      ops::to_bfloat16(context, {source, count}, record.input_bf16.subspan(first, count));
    }
  }
  // The same of the gradient, before the ReLU.
  void take_gradient(device::Context& context, IndexRange rows, Record& record) const {
    const tensor::Matrix dy = record.d_output.rows_from(rows);
    if (shape_.relu) ops::relu_backward(context, record.output.rows_from(rows), dy, dy);
    if (in_bf16_) {
      const index_t count = rows.size() * out();
      ops::to_bfloat16(context, {dy.data, count}, record.d_output_bf16.subspan(rows.begin * out(), count));
    }
  }
  // What a product is of whatever numbers its operands are.
  struct Product {
    index_t n, k;
    ops::Transpose transpose_b = ops::Transpose::no;
    ops::Epilogue epilogue = ops::Epilogue::none;
    index_t lda, ldb;
    float* c;
    index_t ldc;
  };
  // All rows of the batch times the weight of their set, in the layer's precision: those of the run.
  void product(const Pass& pass, const TileRun& run, const Product& of, const ProductRows& rows) const {
    if (in_bf16_) {
      multiply_by_sets(pass, run, set_product<ops::bfloat16>(of, rows.bf16, weight_bf16_.data()));
    } else {
      multiply_by_sets(pass, run, set_product<float>(of, rows.f32, weight().values));
    }
  }
  template <class Number>
  ops::SetProduct<Number> set_product(const Product& of, const Number* rows, const Number* weights) const {
    return {.n = of.n,
            .k = of.k,
            .sets_of_all_ranks = sets_of_all_ranks_,
            .transpose_b = of.transpose_b,
            .epilogue = of.epilogue,
            .a = rows,
            .lda = of.lda,
            .b = weights,
            .ldb = of.ldb,
            .b_stride = weight().stride,
            .bias = shape_.bias ? parameters_[1].values : nullptr,
            .bias_stride = shape_.bias ? parameters_[1].stride : 0,
            .c = of.c,
            .ldc = of.ldc};
  }

  DenseShape shape_;
  bool in_bf16_;
  index_t sets_of_all_ranks_;
  std::array<Parameter, 2> parameters_;        // weight, and the bias if there is one
  device::Buffer<ops::bfloat16> weight_bf16_;  // [sets, in, out], as far apart as the weights
};

}  // namespace

void product_gradient(device::Context& context, const ProductPair& rows, IndexRange block, float* gradient,
                      Layer::Gradient how) {
  const ops::MatmulShape shape{.m = block.size(),
                               .n = rows.d_output.cols,
                               .k = rows.input.rows,
                               .lda = rows.input.cols,
                               .ldb = rows.d_output.cols,
                               .ldc = rows.d_output.cols,
                               .transpose_a = ops::Transpose::yes,
                               .accumulate = how == Layer::Gradient::added};
  if (rows.input.in_bf16) {
    ops::matmul(context, shape, rows.input.bf16 + block.begin, rows.d_output.bf16, gradient);
  } else {
    ops::matmul(context, shape, rows.input.f32 + block.begin, rows.d_output.f32, gradient);
  }
}

void product_gradients_of_tiles(const Pass& pass, IndexRange tiles, const ProductPair& rows,
                                TilePartials partials) {
  const index_t in = rows.input.cols;
  const index_t out = rows.d_output.cols;
  if (rows.input.in_bf16) {
    multiply_tiles<ops::bfloat16>(pass, tiles, {rows.input.bf16, in, in, rows.d_output.bf16, out, out},
                                  partials);
  } else {
    multiply_tiles<float>(pass, tiles, {rows.input.f32, in, in, rows.d_output.f32, out, out}, partials);
  }
}

void product_gradients_of_ranges(const Pass& pass, ops::TileView ranges, const ProductPair& rows,
                                 TilePartials gradients) {
  const index_t in = rows.input.cols;
  const index_t out = rows.d_output.cols;
  const auto compute = [&]<class Number>(const Number* x, const Number* y) {
    ops::tile_gradients<Number>(pass.context, ranges, {x, in, in, y, out, out}, gradients.first,
                                gradients.stride);
  };
  if (rows.input.in_bf16) return compute(rows.input.bf16, rows.d_output.bf16);
  compute(rows.input.f32, rows.d_output.f32);
}

void product_gradients_of_sets(const Pass& pass, const ProductPair& rows, Span<const ops::SetRows> sets,
                               ops::OfSets<float> gradients) {
  const index_t in = rows.input.cols;
  const index_t out = rows.d_output.cols;
  // Of no rows at all there is no table, not even in the context's memory.
  const ops::Tile* const tiles = pass.tiles().local_count() > 0 ? pass.tiles().view().tiles : nullptr;
  const auto compute = [&]<class Number>(const Number* x, const Number* y) {
    ops::set_gradients<Number>(pass.context,
                               {.rows = {x, in, in, y, out, out},
                                .tiles = tiles,
                                .sets = pass.tiles().set_tiles().data(),
                                .count = pass.tiles().set_count(),
                                .gradient = gradients.first,
                                .stride = gradients.stride,
                                .added = !pass.batch.is_first_part},
                               sets);
  };
  if (rows.input.in_bf16) return compute(rows.input.bf16, rows.d_output.bf16);
  compute(rows.input.f32, rows.d_output.f32);
}

std::optional<DenseShape> DenseShape::read(LayerText& text) {
  if (!text.at(LayerSpec::Kind::dense)) return {};
  DenseShape shape{.in = text.sample.features(), .out = text.take_outputs()};
  shape.relu = text.take(LayerSpec::Kind::relu);
  text.sample = {1, 1, shape.out};
  return shape;
}

std::unique_ptr<Layer> DenseShape::make(LayerNames& names, const NetworkOptions& options) const {
  return std::make_unique<Dense>(name.empty() ? names.next("dense") : std::string(name), *this, options);
}

}  // namespace switchyard::nn
