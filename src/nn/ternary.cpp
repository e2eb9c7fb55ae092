#include "nn/ternary.hpp"

#include <cstdint>
#include <string>

#include "base/contract.hpp"
#include "nn/dense.hpp"
#include "nn/network_options.hpp"
#include "ops/matmul.hpp"
#include "ops/ternary.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {
namespace {

// A precision of products by the type of its numbers.
ProductRows product_rows_of(const float* rows, index_t count, index_t cols) {
  return {false, rows, nullptr, count, cols};
}
ProductRows product_rows_of(const ops::bfloat16* rows, index_t count, index_t cols) {
  return {true, nullptr, rows, count, cols};
}

template <class Number>
class Ternary final : public Layer {
 public:
  Ternary(const TernaryShape& shape, GradientRule weight_rule)
      : shape_(shape),
        weight_{{std::string(shape.name) + "/weight", {in(), out()}, BankArray::First::drawn, in()},
                weight_rule} {
    SY_EXPECTS(in() <= most_quantised_inputs, "{} has {} inputs, whose sums are not exact", shape.name, in());
  }

  index_t in_features() const override { return in(); }
  index_t out_features() const override { return out(); }
  index_t multiply_adds() const override { return in() * out(); }
  // Numbers of the input and twice of the output's gradient besides.
  double activation_floats() const override {
    constexpr double floats = sizeof(Number) / static_cast<double>(sizeof(float));
    return static_cast<double>(2 * out()) + floats * static_cast<double>(in() + 2 * out());
  }
  Span<Parameter> parameters() override { return {&weight_, 1}; }
  void hold(index_t sets, device::MemoryKind memory) override {
    row_sums_ = device::Buffer<double>(in() * shape_.matrices, memory);
    gammas_ = device::Buffer<float>(sets * shape_.matrices, memory);
    numbers_ = device::Buffer<Number>(sets * in() * out(), memory);
    if (shape_.integer_products) integers_ = device::Buffer<std::int8_t>(sets * in() * out(), memory);
  }
  void values_changed(device::Context& context) override {
    for (index_t set = 0; set * shape_.matrices < gammas_.count(); ++set) {
      const tensor::ConstMatrix w(weight_.of(set), in(), out());
      ops::mean_magnitudes(context, w, row_sums_.span(),
                           {gammas_.data() + set * shape_.matrices, shape_.matrices});
      ops::to_ternary(context, w, gammas(set), of_set(numbers_, set));
      if (shape_.integer_products) ops::to_ternary(context, w, gammas(set), of_set(integers_, set));
    }
  }

  std::unique_ptr<LayerRecord> make_record() const override { return std::make_unique<Record>(); }
  void begin_forward(const Pass& pass, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    device::Workspace& workspace = pass.workspace();
    const index_t rows = pass.tiles().local_rows();
    record.output = tensor::allocate_matrix(workspace, rows, out());
    record.scales = workspace.allocate<float>(rows);
    if (reads_numbers(pass)) record.input_numbers = workspace.allocate<Number>(rows * in());
    if (shape_.integer_products) record.input_integers = workspace.allocate<std::int8_t>(rows * in());
  }
  bool forward_takes_pieces() const override { return true; }
  void forward(const Pass& pass, const TileRun& run, LayerRecord& of_layer) const override {
    pass.tiles().for_each_set(run, [&](index_t set, IndexRange rows) {
      if (!rows.empty()) forward_rows(pass, set, rows, static_cast<Record&>(of_layer));
    });
  }

  void begin_backward(const Pass& pass, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    const index_t count = pass.tiles().local_rows() * out();
    record.times_gammas = pass.workspace().allocate<Number>(count);
    record.over_scales = pass.workspace().allocate<Number>(count);
  }
  void backward(const Pass& pass, IndexRange tiles, LayerRecord& of_layer, tensor::Matrix d_input,
                TilePartials partials) const override {
    auto& record = static_cast<Record&>(of_layer);
    pass.tiles().for_each_set(pass.tiles().run(tiles), [&](index_t set, IndexRange rows) {
      const tensor::ConstMatrix d_y = record.d_output.rows_from(rows);
      ops::over_scales(pass.context, of_rows(record.scales, rows, 1), d_y,
                       of_rows(record.over_scales, rows, out()));
      if (d_input.data != nullptr && !rows.empty())
        input_gradient(pass.context, set, rows, record, d_input.rows_from(rows));
    });
    if (weight_.rule != GradientRule::per_tile) return;
    for (index_t tile = tiles.begin; tile < tiles.end; ++tile) {
      product_gradient(product_rows(record).rows_from(pass.tiles().rows(tile)), {0, in()},
                       partials.of(tile - tiles.begin), Gradient::written);
    }
  }

  // dW = (x_q / s)^T dY = x_q^T (dY / s)
  ProductPair product_rows(const LayerRecord& of_layer) const override {
    const auto& record = static_cast<const Record&>(of_layer);
    const index_t rows = record.output.rows;
    return {product_rows_of(record.input_numbers.data(), rows, in()),
            product_rows_of(record.over_scales.data(), rows, out())};
  }
  void whole_rows_gradient(const ProductPair& rows, IndexRange block, float* gradient,
                           Gradient how) const override {
    product_gradient(rows, block, gradient, how);
  }

 private:
  struct Record : LayerRecord {
    Span<float> scales;                // s, [rows]
    Span<Number> input_numbers;        // x_q
    Span<std::int8_t> input_integers;  // the same
    Span<Number> times_gammas;         // dY gamma
    Span<Number> over_scales;          // dY / s
  };

  index_t in() const { return shape_.in; }
  index_t out() const { return shape_.out; }
  bool reads_numbers(const Pass& pass) const { return pass.is_training() || !shape_.integer_products; }
  Span<const float> gammas(index_t set) const {
    return {gammas_.data() + set * shape_.matrices, shape_.matrices};
  }
  template <class T>
  Span<T> of_set(device::Buffer<T>& all, index_t set) const {
    return {all.data() + set * in() * out(), in() * out()};
  }
  template <class T>
  static Span<T> of_rows(Span<T> all, IndexRange rows, index_t cols) {
    return all.subspan(rows.begin * cols, rows.size() * cols);
  }

  void forward_rows(const Pass& pass, index_t set, IndexRange rows, Record& record) const {
    const tensor::RowSource x = record.input.rows_from(rows);
    const Span<float> scales = of_rows(record.scales, rows, 1);
    const tensor::Matrix y = record.output.rows_from(rows);
    const ops::MatmulShape shape{
        .m = rows.size(), .n = out(), .k = in(), .lda = in(), .ldb = out(), .ldc = out()};
    const index_t first_weight = set * in() * out();
    const Span<Number> numbers =
        reads_numbers(pass) ? of_rows(record.input_numbers, rows, in()) : Span<Number>();
    if (!numbers.empty()) ops::to_eight_bits(pass.context, x, numbers, scales);
    if (shape_.integer_products) {
      const Span<std::int8_t> integers = of_rows(record.input_integers, rows, in());
      ops::to_eight_bits(pass.context, x, integers, scales);
      ops::matmul(shape, integers.data(), integers_.data() + first_weight, y.data);
    } else {
      ops::matmul(shape, numbers.data(), numbers_.data() + first_weight, y.data);
    }
    ops::scale_products(pass.context, gammas(set), scales, y);
  }

  // dX = (dY gamma) W_q^T
  void input_gradient(device::Context& context, index_t set, IndexRange rows, Record& record,
                      tensor::Matrix d_x) const {
    const Span<Number> d_y = of_rows(record.times_gammas, rows, out());
    ops::times_gammas(context, gammas(set), record.d_output.rows_from(rows), d_y);
    ops::matmul({.m = rows.size(),
                 .n = in(),
                 .k = out(),
                 .lda = out(),
                 .ldb = out(),
                 .ldc = d_x.stride,
                 .transpose_b = ops::Transpose::yes},
                d_y.data(), numbers_.data() + set * in() * out(), d_x.data);
  }

  TernaryShape shape_;
  Parameter weight_;
  device::Buffer<double> row_sums_;  // [in, matrices], of one set at a time
  device::Buffer<float> gammas_;     // [sets, matrices]
  // W_q of all sets, [sets, in, out]; the second one with integer products.
  device::Buffer<Number> numbers_;
  device::Buffer<std::int8_t> integers_;
};

}  // namespace

std::unique_ptr<Layer> TernaryShape::make(LayerNames&, const NetworkOptions& options) const {
  const GradientRule rule = options.policy.rule(in, out);
  if (options.precision == Precision::bf16) return std::make_unique<Ternary<ops::bfloat16>>(*this, rule);
  return std::make_unique<Ternary<float>>(*this, rule);
}

}  // namespace switchyard::nn
