// Kernels of ops/tile_product.hpp, against Team (device/team.hpp).
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "ops/kernels/block_product.hpp"
#include "ops/kernels/pack.hpp"
#include "ops/tiles.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops::kernels {

// C[r, c] = sum over i < k, ascending, of A[r, i] B_s[i, c], s the set of row r; then what is asked for on top.
// "Row" is a block of rows that share a set, by a block of columns.
template <class Number>
struct TileProduct {
  using Sum = typename ProductSum<Number>::Type;
  using Block = BlockProduct<Sum>;
  static constexpr index_t side = Block::side;
  static_assert(granule_rows % side == 0);

  Operand<Number> a;  // from row 0 on
  Operand<Number> b;  // of set 0
  index_t b_set;
  float* c;
  index_t ldc;
  const float* bias;  // null: none
  index_t bias_set;
  index_t first_row, end_row, n, k;
  RowSets sets;
  bool accumulate, relu;

  static constexpr index_t scratch_bytes() { return Block::scratch_bytes(); }
  SY_HD index_t column_blocks() const { return (n + side - 1) / side; }
  index_t blocks() const { return (end_row - first_row + side - 1) / side * column_blocks(); }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t block) const {
    const GridPlace place(block, column_blocks());
    const index_t row = first_row + place.row * side, column = place.column * side;
    const index_t set = sets.of(row);
    const Operand<Number> of_a{a.first + row * a.place_apart, a.place_apart, a.term_apart};
    const Operand<Number> of_b{b.first + set * b_set + column * b.place_apart, b.place_apart, b.term_apart};
    Block::compute(team, of_a, end_row - row, of_b, n - column, k,
                   [&](index_t r, index_t q, const Four<Sum>& sums, index_t count) {
                     write(set, row + r, column + q, sums, count);
                   });
  }

 private:
  SY_HD void write(index_t set, index_t row, index_t column, const Four<Sum>& sums, index_t count) const {
    float* const to = c + row * ldc + column;
    const float* const added = bias == nullptr ? nullptr : bias + set * bias_set + column;
    Four<float> values;
    for (int q = 0; q < 4; ++q) {
      if (q >= count) continue;
      auto value = static_cast<float>(sums.value[q]);
      if (accumulate) value += to[q];
      if (added != nullptr) value += added[q];
      values.value[q] = relu ? relu_of(value) : value;
    }
    write_neighbours(to, values, count);
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
