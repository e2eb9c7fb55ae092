// Kernels of ops/tile_product.hpp, against Team (device/team.hpp).
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "ops/convert.hpp"
#include "ops/kernels/math.hpp"
#include "ops/kernels/pack.hpp"
#include "ops/tiles.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops::kernels {

// What the terms of a sum are added up in, and how: one rounding a term, or none.
template <class Number>
struct ProductSum {
  using Type = float;
};
template <>
struct ProductSum<std::int8_t> {
  using Type = std::int32_t;
};
SY_HD inline float add_product(float a, float b, float sum) { return fused_multiply_add(a, b, sum); }
SY_HD inline float add_product(bfloat16 a, bfloat16 b, float sum) {
  return fused_multiply_add(to_float(a), to_float(b), sum);
}
SY_HD inline std::int32_t add_product(std::int8_t a, std::int8_t b, std::int32_t sum) { return sum + a * b; }

// A NaN stays one.
SY_HD inline float relu_of(float x) { return x <= 0.0F ? 0.0F : x; }

// C[r, c] = sum over i < k, ascending, of A[r, i] B_s[i, c], s the set of row r; then what is asked for on top.
// "Row" is a block of rows that share a set, by a block of columns. Each of 32 threads has 4 x 4 places, so
// that a value that is read serves four sums; the places are 4 rows and 8 columns apart, so that neighbouring
// threads read neighbours. What lies beyond the last row or column is computed of the last one, and not
// written.
template <class Number>
struct TileProduct {
  static constexpr index_t block_rows = 16, block_columns = 32;
  static constexpr index_t rows_apart = 4, columns_apart = 8;
  static constexpr index_t threads = rows_apart * columns_apart;
  static constexpr int places = 4;  // of a thread, along rows and along columns
  static_assert(granule_rows % block_rows == 0);

  const Number* a;
  index_t a_row, a_inner;  // distances in A of neighbouring rows, and of neighbouring terms
  const Number* b;
  index_t b_column, b_inner, b_set;
  float* c;
  index_t ldc;
  const float* bias;  // null: none
  index_t bias_set;
  index_t first_row, end_row, n, k;
  RowSets sets;
  bool accumulate, relu;

  SY_HD index_t column_blocks() const { return (n + block_columns - 1) / block_columns; }
  index_t blocks() const { return (end_row - first_row + block_rows - 1) / block_rows * column_blocks(); }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t block) const {
    const GridPlace place(block, column_blocks());
    const index_t row = first_row + place.row * block_rows;
    const index_t column = place.column * block_columns;
    const index_t set = sets.of(row);
    team.for_each(threads, [=, this](index_t thread) {
      compute(set, row + thread / columns_apart, column + thread % columns_apart);
    });
  }

 private:
  using Sum = typename ProductSum<Number>::Type;

  SY_HD void compute(index_t set, index_t row, index_t column) const {
    const Number* a_at[places];
    const Number* b_at[places];
    for (int j = 0; j < places; ++j) {
      const index_t r = row + j * rows_apart, column_j = column + j * columns_apart;
      a_at[j] = a + (r < end_row ? r : end_row - 1) * a_row;
      b_at[j] = b + set * b_set + (column_j < n ? column_j : n - 1) * b_column;
    }
    Sum sum[places][places] = {};
    for (index_t i = 0; i < k; ++i) {
      Number of_a[places], of_b[places];
      for (int j = 0; j < places; ++j) {
        of_a[j] = a_at[j][i * a_inner];
        of_b[j] = b_at[j][i * b_inner];
      }
      for (int r = 0; r < places; ++r)
        for (int q = 0; q < places; ++q) sum[r][q] = add_product(of_a[r], of_b[q], sum[r][q]);
    }
    for (int r = 0; r < places; ++r)
      for (int q = 0; q < places; ++q)
        write(set, row + r * rows_apart, column + q * columns_apart, static_cast<float>(sum[r][q]));
  }

  SY_HD void write(index_t set, index_t row, index_t column, float value) const {
    if (row >= end_row || column >= n) return;
    float& to = c[row * ldc + column];
    if (accumulate) value += to;
    if (bias != nullptr) value += bias[set * bias_set + column];
    to = relu ? relu_of(value) : value;
  }
};

// C[r, c] += bias_s[c], s the set of row r; then ReLU if wanted.
struct AddBias {
  tensor::Matrix c;
  const float* bias;
  index_t bias_set;
  RowSets sets;
  bool relu;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    float* const to = c.row(row);
    const float* const from = bias + sets.of(row) * bias_set;
    team.for_each(c.cols, [&](index_t i) {
      const float value = to[i] + from[i];
      to[i] = relu ? relu_of(value) : value;
    });
  }
};

// Whole numbers, as int32 and then as the float32 of the same value, in one place.
struct Int32ToFloat {
  tensor::Matrix c;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    float* const values = c.row(row);
    team.for_each(c.cols, [&](index_t i) {
      values[i] = static_cast<float>(__builtin_bit_cast(std::int32_t, values[i]));
    });
  }
};

}  // namespace switchyard::ops::kernels
