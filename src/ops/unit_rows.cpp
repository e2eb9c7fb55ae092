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

struct UnitRowsBackward {
  tensor::ConstMatrix y;
  RowLength length;
  const float* inverse_norms;
  tensor::Matrix d;
  float* along;  // or null

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const unit = y.row(row);
    float* const of_row = d.row(row);
    const float sum = team.sum(y.cols, [=](index_t c) { return unit[c] * of_row[c]; });
    const float of = length_of(length);
    const float inverse = inverse_norms[row];
    const float back = sum / of;
    team.for_each(y.cols, [=](index_t c) { of_row[c] = inverse * (of * of_row[c] - unit[c] * back); });
    if (along != nullptr) team.once([&] { along[row] = sum; });
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

}  // namespace switchyard::ops
