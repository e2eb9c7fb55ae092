#include "ops/rows.hpp"

#include <algorithm>

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/detail/row_results.hpp"
#include "ops/kernels/rows.hpp"

namespace switchyard::ops {
namespace {

void expect_same_size(const char* what, tensor::ConstMatrix a, tensor::ConstMatrix b) {
  SY_EXPECTS(a.rows == b.rows && a.cols == b.cols, "{}: {} x {} against {} x {}", what, a.rows, a.cols, b.rows,
             b.cols);
}

}  // namespace

void softmax(device::Context& context, tensor::ConstMatrix logits, tensor::Matrix p) {
  expect_same_size("softmax", logits, p);
  device::for_each_row(context, logits.rows, kernels::Softmax{logits, p});
}

void log_softmax(device::Context& context, tensor::ConstMatrix logits, tensor::Matrix y) {
  expect_same_size("log_softmax", logits, y);
  if (logits.cols <= kernels::LogSoftmaxOfFew::most_cols) {
    constexpr index_t block = kernels::rows_per_block;
    device::for_each_row(context, (logits.rows + block - 1) / block, kernels::LogSoftmaxOfFew{logits, y});
    return;
  }
  device::for_each_row(context, logits.rows, kernels::LogSoftmax{logits, y});
}

void log_softmax_backward(device::Context& context, tensor::ConstMatrix y, tensor::ConstMatrix d_y,
                          tensor::Matrix d_logits) {
  expect_same_size("log_softmax_backward", y, d_y);
  expect_same_size("log_softmax_backward", y, d_logits);
  device::for_each_row(context, y.rows, kernels::LogSoftmaxBackward{y, d_y, d_logits});
}

void top_k(device::Context& context, tensor::ConstMatrix logits, index_t k, std::int32_t* experts) {
  constexpr index_t max_cols = index_t{1} << 24;  // argmax carries places as float
  SY_EXPECTS(k >= 0 && k <= logits.cols && logits.cols <= max_cols, "the {} largest of {} columns (at most {})",
             k, logits.cols, max_cols);
  if (k == 1) {
    const index_t block = kernels::rows_per_block;
    device::for_each_row(context, (logits.rows + block - 1) / block, kernels::TopOne{logits, experts});
    return;
  }
  device::for_each_row(context, logits.rows, kernels::TopK{logits, k, experts});
}

void relu(device::Context& context, tensor::ConstMatrix x, tensor::Matrix y) {
  expect_same_size("relu", x, y);
  device::for_each_row(context, x.rows, kernels::ReluRows{x, y});
}

void relu_backward(device::Context& context, tensor::ConstMatrix y, tensor::ConstMatrix d_y,
                   tensor::Matrix d_x) {
  expect_same_size("relu_backward", y, d_y);
  expect_same_size("relu_backward", y, d_x);
  device::for_each_row(context, y.rows, kernels::ReluRowsBackward{y, d_y, d_x});
}

void add(device::Context& context, tensor::ConstMatrix x, tensor::Matrix y) {
  expect_same_size("add", x, y);
  device::for_each_row(context, x.rows, kernels::AddRows{x, y});
}

void column_sums(device::Context& context, tensor::ConstMatrix x, Span<float> sums) {
  SY_EXPECTS(std::ssize(sums) == x.cols, "{} sums for {} columns", sums.size(), x.cols);
  const index_t block = kernels::columns_of_block(context.device());
  device::for_each_row(context, (x.cols + block - 1) / block, kernels::ColumnSums{x, sums.data(), block});
}

void tile_column_sums(device::Context& context, TileView tiles, tensor::ConstMatrix x, float* sums,
                      index_t stride) {
  const kernels::TileColumns columns(context.device(), tiles, x.cols);
  device::for_each_row(context, columns.rows(), kernels::TileColumnSums{columns, x, sums, stride});
}

void gather_rows(device::Context& context, tensor::RowSource source, tensor::Matrix out) {
  SY_EXPECTS(source.rows == out.rows && source.cols == out.cols, "{} x {} rows into {} x {}", source.rows,
             source.cols, out.rows, out.cols);
  device::for_each_row(context, out.rows, kernels::GatherRows{source, out});
}

bool all_finite(device::Context& context, tensor::ConstMatrix x) {
  static thread_local detail::RowResults<std::uint8_t> finite;
  device::for_each_row(context, x.rows, kernels::RowIsFinite{x, finite.places(context, x.rows)});
  return std::ranges::all_of(finite.read(context, x.rows), [](std::uint8_t row) { return row != 0; });
}

}  // namespace switchyard::ops
