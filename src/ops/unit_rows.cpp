#include "ops/unit_rows.hpp"

#include <cmath>

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/kernels/math.hpp"

namespace switchyard::ops {
namespace kernels {

SY_HD inline float length_of(const RowLength& length) {
  return length.log == nullptr ? length.base : length.base * exp(*length.log);
}

struct UnitRows {
  tensor::ConstMatrix x;
  RowLength length;
  tensor::Matrix y;
  float* inverse_norms;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    constexpr float smallest_square = 1e-6F;
    const float* const in = x.row(row);
    float* const out = y.row(row);
    const float square = team.sum(x.cols, [=](index_t c) { return in[c] * in[c]; });
    const float inverse = 1.0F / std::sqrt(square + smallest_square);
    const float factor = length_of(length) * inverse;
    team.for_each(x.cols, [=](index_t c) { out[c] = factor * in[c]; });
    team.once([&] { inverse_norms[row] = inverse; });
  }
};

// In place; returns a, the same on every thread.
template <class Team>
SY_HD float unit_row_backward(const Team& team, const float* unit, index_t cols, float of, float inverse,
                              float* d) {
  const float sum = team.sum(cols, [=](index_t c) { return unit[c] * d[c]; });
  const float back = sum / of;
  team.for_each(cols, [=](index_t c) { d[c] = inverse * (of * d[c] - unit[c] * back); });
  return sum;
}

struct UnitRowsBackward {
  tensor::ConstMatrix y;
  RowLength length;
  const float* inverse_norms;
  tensor::Matrix d;
  float* along;  // or null

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float sum =
        unit_row_backward(team, y.row(row), y.cols, length_of(length), inverse_norms[row], d.row(row));
    if (along != nullptr) team.once([&] { along[row] = sum; });
  }
};

// "Row" is a tile and a row of y.
struct TileUnitRowsBackward {
  TileUnitRows of;
  float* along;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t index) const {
    const index_t row = index % of.y.rows;
    float* const d = of.d + index / of.y.rows * of.stride + row * of.y.cols;
    const float sum =
        unit_row_backward(team, of.y.row(row), of.y.cols, length_of(of.length), of.inverse_norms[row], d);
    team.once([&] { along[index] = sum; });
  }
};

struct SumAlong {
  const float* along;
  index_t rows;
  float* sums;
  index_t stride;

  SY_HD void operator()(index_t tile) const {
    double sum = 0;
    for (index_t row = 0; row < rows; ++row) sum += along[tile * rows + row];
    sums[tile * stride] = static_cast<float>(sum);
  }
};

}  // namespace kernels

using detail::expect_shape;

void unit_rows(device::Context& context, tensor::ConstMatrix x, const RowLength& length, tensor::Matrix y,
               Span<float> inverse_norms) {
  expect_shape("y", y, x.rows, x.cols);
  SY_EXPECTS(std::ssize(inverse_norms) == x.rows, "{} norms for {} rows", inverse_norms.size(), x.rows);
  device::for_each_row(context, x.rows, kernels::UnitRows{x, length, y, inverse_norms.data()});
}

void unit_rows_backward(device::Context& context, tensor::ConstMatrix y, const RowLength& length,
                        Span<const float> inverse_norms, tensor::Matrix d, Span<float> along) {
  expect_shape("d", d, y.rows, y.cols);
  SY_EXPECTS(std::ssize(inverse_norms) == y.rows && (along.empty() || std::ssize(along) == y.rows),
             "{} norms and {} results for {} rows", inverse_norms.size(), along.size(), y.rows);
  device::for_each_row(
      context, y.rows,
      kernels::UnitRowsBackward{y, length, inverse_norms.data(), d, along.empty() ? nullptr : along.data()});
}

void tile_unit_rows_backward(device::Context& context, index_t tiles, const TileUnitRows& of,
                             Span<float> along) {
  SY_EXPECTS(std::ssize(along) == tiles * of.y.rows, "{} results for {} tiles of {} rows", along.size(), tiles,
             of.y.rows);
  device::for_each_row(context, tiles * of.y.rows, kernels::TileUnitRowsBackward{of, along.data()});
  device::for_each(context, tiles, kernels::SumAlong{along.data(), of.y.rows, of.sums, of.stride});
}

}  // namespace switchyard::ops
