#include "ops/ternary.hpp"

#include <cstdint>

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/kernels/ternary.hpp"

namespace switchyard::ops {
namespace {

kernels::ColumnBlocks blocks_of(index_t count, index_t cols) {
  SY_EXPECTS(count > 0 && cols % count == 0, "{} equal blocks of {} columns", count, cols);
  return {count, cols / count};
}

void expect_count(const char* what, index_t count, index_t expected) {
  SY_EXPECTS(count == expected, "{} {}, not {}", count, what, expected);
}

}  // namespace

void mean_magnitudes(device::Context& context, const SetMatrices& of, Span<double> row_sums,
                     Span<float> gammas) {
  const kernels::ColumnBlocks blocks = blocks_of(of.blocks, of.cols);
  expect_count("sums", std::ssize(row_sums), of.sets * of.rows * blocks.count);
  expect_count("gammas", std::ssize(gammas), of.sets * blocks.count);
  device::for_each_row(context, of.sets * of.rows, kernels::RowMagnitudes{of, blocks, row_sums.data()});
  device::for_each_row(context, of.sets * blocks.count,
                       kernels::MeanMagnitude{row_sums.data(), of.rows, blocks, gammas.data()});
}

template <class Number>
void to_ternary(device::Context& context, const SetMatrices& of, Span<const float> gammas, Span<Number> q) {
  expect_count("places", std::ssize(q), of.sets * of.rows * of.cols);
  device::for_each_row(context, of.sets * of.rows,
                       kernels::ToTernary<Number>{of, blocks_of(of.blocks, of.cols), gammas.data(), q.data()});
}

template <class Number>
void to_eight_bits(device::Context& context, tensor::RowSource x, Span<Number> q, Span<float> scales) {
  expect_count("places", std::ssize(q), x.rows * x.cols);
  expect_count("scales", std::ssize(scales), x.rows);
  device::for_each_row(context, x.rows, kernels::ToEightBits<Number>{x, q.data(), scales.data()});
}

void scale_products(device::Context& context, const Gammas& gammas, Span<const float> scales,
                    tensor::Matrix y) {
  expect_count("scales", std::ssize(scales), y.rows);
  device::for_each_row(context, y.rows,
                       kernels::ScaleProducts{gammas, blocks_of(gammas.blocks, y.cols), scales.data(), y});
}

template <class Number>
void times_gammas(device::Context& context, const Gammas& gammas, tensor::ConstMatrix d_y,
                  Span<Number> result) {
  expect_count("places", std::ssize(result), d_y.rows * d_y.cols);
  device::for_each_row(
      context, d_y.rows,
      kernels::TimesGammas<Number>{gammas, blocks_of(gammas.blocks, d_y.cols), d_y, result.data()});
}

template <class Number>
void over_scales(device::Context& context, Span<const float> scales, tensor::ConstMatrix d_y,
                 Span<Number> result) {
  expect_count("places", std::ssize(result), d_y.rows * d_y.cols);
  expect_count("scales", std::ssize(scales), d_y.rows);
  device::for_each_row(context, d_y.rows, kernels::OverScales<Number>{scales.data(), d_y, result.data()});
}

// The types that products read.
template void to_ternary(device::Context&, const SetMatrices&, Span<const float>, Span<float>);
template void to_ternary(device::Context&, const SetMatrices&, Span<const float>, Span<bfloat16>);
template void to_ternary(device::Context&, const SetMatrices&, Span<const float>, Span<std::int8_t>);
template void to_eight_bits(device::Context&, tensor::RowSource, Span<float>, Span<float>);
template void to_eight_bits(device::Context&, tensor::RowSource, Span<bfloat16>, Span<float>);
template void to_eight_bits(device::Context&, tensor::RowSource, Span<std::int8_t>, Span<float>);
template void times_gammas(device::Context&, const Gammas&, tensor::ConstMatrix, Span<float>);
template void times_gammas(device::Context&, const Gammas&, tensor::ConstMatrix, Span<bfloat16>);
template void over_scales(device::Context&, Span<const float>, tensor::ConstMatrix, Span<float>);
template void over_scales(device::Context&, Span<const float>, tensor::ConstMatrix, Span<bfloat16>);

}  // namespace switchyard::ops
