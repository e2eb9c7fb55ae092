// Kernels of ops/ternary.hpp, against Team (device/team.hpp).
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "base/host_device.hpp"
#include "ops/convert.hpp"
#include "ops/ternary.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops::kernels {

inline constexpr float smallest_magnitude = 1e-5F;  // of a row's largest, and of a matrix's mean
inline constexpr float eight_bits = 127.0F;

template <class Number>
SY_HD inline Number as(float value);
template <>
SY_HD inline float as<float>(float value) {
  return value;
}
template <>
SY_HD inline bfloat16 as<bfloat16>(float value) {
  return to_bfloat16(value);
}
// Of whole numbers.
template <>
SY_HD inline std::int8_t as<std::int8_t>(float value) {
  return static_cast<std::int8_t>(value);
}

// The whole number next to x in [least, most], ties to even; never -0. A NaN becomes `least`, and stays to be
// seen in what the number is multiplied by.
SY_HD inline float rounded_within(float x, float least, float most) {
  constexpr float to_whole_numbers = 12582912.0F;  // 1.5 * 2^23: a sum with it has no bits below 1
  const float above = x > least ? x : least;
  const float within = above < most ? above : most;
  return (within + to_whole_numbers) - to_whole_numbers;
}

// How columns of a matrix share factors: in equal blocks, one behind the other.
struct ColumnBlocks {
  index_t count;
  index_t width;

  // body(block, first column)
  template <class Body>
  SY_HD void for_each(const Body& body) const {
    for (index_t b = 0; b < count; ++b) body(b, b * width);
  }
};

// Row `row` of all sets.
SY_HD inline const float* row_of(const SetMatrices& of, index_t row) {
  return of.w + row / of.rows * of.w_stride + row % of.rows * of.cols;
}

struct RowMagnitudes {
  SetMatrices of;
  ColumnBlocks blocks;
  double* sums;  // [sets, rows, blocks]

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const in = row_of(of, row);
    blocks.for_each([&](index_t b, index_t first) {
      const double sum =
          team.sum(blocks.width, [=](index_t c) { return static_cast<double>(std::abs(in[first + c])); });
      team.once([&] { sums[row * blocks.count + b] = sum; });
    });
  }
};

// "Row" is a set and a block.
struct MeanMagnitude {
  const double* sums;
  index_t rows;
  ColumnBlocks blocks;
  float* gammas;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const double* const of_set = sums + row / blocks.count * rows * blocks.count;
    const index_t block = row % blocks.count;
    const double sum = team.sum(rows, [&](index_t r) { return of_set[r * blocks.count + block]; });
    const float mean = static_cast<float>(sum / static_cast<double>(rows * blocks.width));
    team.once([&] { gammas[row] = mean < smallest_magnitude ? smallest_magnitude : mean; });
  }
};

template <class Number>
struct ToTernary {
  SetMatrices of;
  ColumnBlocks blocks;
  const float* gammas;
  Number* q;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const of_set = gammas + row / of.rows * blocks.count;
    blocks.for_each([&](index_t b, index_t first) {
      const float* const in = row_of(of, row) + first;
      Number* const out = q + row * of.cols + first;
      const float gamma = of_set[b];
      team.for_each(blocks.width,
                    [=](index_t c) { out[c] = as<Number>(rounded_within(in[c] / gamma, -1.0F, 1.0F)); });
    });
  }
};

template <class Number>
struct ToEightBits {
  tensor::RowSource x;
  Number* q;
  float* scales;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const in = x.row(row);
    Number* const out = q + row * x.cols;
    // A NaN is never a maximum: it counts as infinity.
    const float largest = team.max(x.cols, [=](index_t c) {
      const float magnitude = std::abs(in[c]);
      return magnitude < __builtin_inff() ? magnitude : __builtin_inff();
    });
    const float s = largest == __builtin_inff()
                        ? std::numeric_limits<float>::quiet_NaN()
                        : eight_bits / (largest < smallest_magnitude ? smallest_magnitude : largest);
    team.for_each(x.cols, [=](index_t c) {
      out[c] = as<Number>(rounded_within(in[c] * s, -eight_bits - 1.0F, eight_bits));
    });
    team.once([&] { scales[row] = s; });
  }
};

// Those of a row's set.
SY_HD inline const float* of_row(const Gammas& gammas, index_t row) {
  return gammas.of_sets + gammas.sets.of(row) * gammas.blocks;
}

struct ScaleProducts {
  Gammas gammas;
  ColumnBlocks blocks;
  const float* scales;
  tensor::Matrix y;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const gamma = of_row(gammas, row);
    blocks.for_each([&](index_t b, index_t first) {
      float* const out = y.row(row) + first;
      const float factor = gamma[b] / scales[row];
      // -0 + 0 = 0
      team.for_each(blocks.width, [=](index_t c) { out[c] = (out[c] + 0.0F) * factor; });
    });
  }
};

template <class Number>
struct TimesGammas {
  Gammas gammas;
  ColumnBlocks blocks;
  tensor::ConstMatrix d_y;
  Number* result;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const of_set = of_row(gammas, row);
    blocks.for_each([&](index_t b, index_t first) {
      const float* const d = d_y.row(row) + first;
      Number* const out = result + row * d_y.cols + first;
      const float gamma = of_set[b];
      team.for_each(blocks.width, [=](index_t c) { out[c] = as<Number>(d[c] * gamma); });
    });
  }
};

template <class Number>
struct OverScales {
  const float* scales;
  tensor::ConstMatrix d_y;
  Number* result;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const d = d_y.row(row);
    Number* const out = result + row * d_y.cols;
    const float step = 1.0F / scales[row];
    team.for_each(d_y.cols, [=](index_t c) { out[c] = as<Number>(d[c] * step); });
  }
};

}  // namespace switchyard::ops::kernels
