#include "nn/ternary.hpp"

#include <cstdint>
#include <string>

#include "base/contract.hpp"
#include "nn/dense.hpp"
#include "nn/network_options.hpp"
#include "nn/products.hpp"
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
  Ternary(const TernaryShape& shape, const NetworkOptions& options)
      : shape_(shape),
        sets_of_all_ranks_(options.sets_of_all_ranks),
        weight_{{std::string(shape.name) + "/weight", {in(), out()}, BankArray::First::drawn, in()},
                options.policy.rule(in(), out())} {
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
    sets_ = sets;
    row_sums_ = device::Buffer<double>(sets * in() * shape_.matrices, memory);
    gammas_ = device::Buffer<float>(sets * shape_.matrices, memory);
    numbers_ = device::Buffer<Number>(sets * in() * out(), memory);
    if (shape_.integer_products) integers_ = device::Buffer<std::int8_t>(sets * in() * out(), memory);
  }
  void values_changed(device::Context& context) override {
    const ops::SetMatrices w{weight_.values, weight_.stride, sets_, in(), out(), shape_.matrices};
    ops::mean_magnitudes(context, w, row_sums_.span(), gammas_.span());
    ops::to_ternary(context, w, gammas_.span(), numbers_.span());
    if (shape_.integer_products) ops::to_ternary(context, w, gammas_.span(), integers_.span());
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
    if (!run.rows.empty()) forward_run(pass, run, static_cast<Record&>(of_layer));
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
    const TileRun run = pass.tiles().run(tiles);
    ops::over_scales(pass.context, of_rows(record.scales, run.rows, 1), record.d_output.rows_from(run.rows),
                     of_rows(record.over_scales, run.rows, out()));
    if (d_input.data != nullptr && !run.rows.empty()) input_gradient(pass, run, record, d_input);
    if (weight_.rule == GradientRule::per_tile)
      product_gradients_of_tiles(pass, tiles, product_rows(record), partials);
  }

  // dW = (x_q / s)^T dY = x_q^T (dY / s)
  ProductPair product_rows(const LayerRecord& of_layer) const override {
    const auto& record = static_cast<const Record&>(of_layer);
    const index_t rows = record.output.rows;
    return {product_rows_of(record.input_numbers.data(), rows, in()),
            product_rows_of(record.over_scales.data(), rows, out())};
  }
  void whole_rows_gradient(device::Context& context, const ProductPair& rows, IndexRange block, float* gradient,
                           Gradient how) const override {
    product_gradient(context, rows, block, gradient, how);
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
  // For rows from `first` on.
  ops::Gammas gammas(const Pass& pass, index_t first) const {
    return {gammas_.data(), shape_.matrices, pass.tiles().row_sets(first)};
  }
  template <class T>
  static Span<T> of_rows(Span<T> all, IndexRange rows, index_t cols) {
    return all.subspan(rows.begin * cols, rows.size() * cols);
  }

  void forward_run(const Pass& pass, const TileRun& run, Record& record) const {
    const tensor::RowSource x = record.input.rows_from(run.rows);
    const Span<float> scales = of_rows(record.scales, run.rows, 1);
    if (reads_numbers(pass))
      ops::to_eight_bits(pass.context, x, of_rows(record.input_numbers, run.rows, in()), scales);
    if (shape_.integer_products) {
      ops::to_eight_bits(pass.context, x, of_rows(record.input_integers, run.rows, in()), scales);
      multiply_by_sets(pass, run,
                       forward_product<std::int8_t>(record.input_integers.data(), integers_.data(), record));
    } else {
      multiply_by_sets(pass, run,
                       forward_product<Number>(record.input_numbers.data(), numbers_.data(), record));
    }
    ops::scale_products(pass.context, gammas(pass, run.rows.begin), scales, record.output.rows_from(run.rows));
  }
  template <class T>
  ops::SetProduct<T> forward_product(const T* rows, const T* weights, const Record& record) const {
    return {.n = out(),
            .k = in(),
            .sets_of_all_ranks = sets_of_all_ranks_,
            .a = rows,
            .lda = in(),
            .b = weights,
            .ldb = out(),
            .b_stride = in() * out(),
            .c = record.output.data,
            .ldc = out()};
  }

  // dX = (dY gamma) W_q^T
  void input_gradient(const Pass& pass, const TileRun& run, Record& record, tensor::Matrix d_x) const {
    ops::times_gammas(pass.context, gammas(pass, run.rows.begin), record.d_output.rows_from(run.rows),
                      of_rows(record.times_gammas, run.rows, out()));
    multiply_by_sets<Number>(pass, run,
                             {.n = in(),
                              .k = out(),
                              .sets_of_all_ranks = sets_of_all_ranks_,
                              .transpose_b = ops::Transpose::yes,
                              .a = record.times_gammas.data(),
                              .lda = out(),
                              .b = numbers_.data(),
                              .ldb = out(),
                              .b_stride = in() * out(),
                              .c = d_x.data,
                              .ldc = d_x.stride});
  }

  TernaryShape shape_;
  index_t sets_of_all_ranks_;
  Parameter weight_;
  index_t sets_ = 0;
  device::Buffer<double> row_sums_;  // [sets, in, matrices]
  device::Buffer<float> gammas_;     // [sets, matrices]
  // W_q of all sets, [sets, in, out]; the second one with integer products.
  device::Buffer<Number> numbers_;
  device::Buffer<std::int8_t> integers_;
};

}  // namespace

std::unique_ptr<Layer> TernaryShape::make(LayerNames&, const NetworkOptions& options) const {
  if (options.precision == Precision::bf16) return std::make_unique<Ternary<ops::bfloat16>>(*this, options);
  return std::make_unique<Ternary<float>>(*this, options);
}

}  // namespace switchyard::nn
