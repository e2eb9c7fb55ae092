// Rows side by side, read column after column: for kernels that take a block of rows together, a lane to each,
// and add up every row in the order of its columns.
#pragma once

#include "ops/kernels/pack.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops::kernels {

// Rows [first, first + rows_per_block) of a matrix, as far as it has them.
SY_HD inline tensor::ConstMatrix block_of_rows(tensor::ConstMatrix m, index_t block) {
  const index_t left = m.rows - block * rows_per_block;
  return m.rows_from(block * rows_per_block, left < rows_per_block ? left : rows_per_block);
}

#if SY_PACK_WIDTH > 1
// Rows become columns. In each stage the two squares of `step` x `step` beside the diagonal change places, in
// all squares of twice that size.
template <int width>
SY_ALWAYS_INLINE inline void transpose(Pack<width>* tile) {
  const auto stage = [&]<int step>(std::integral_constant<int, step>) SY_ALWAYS_INLINE {
    unrolled<width>([&](auto row) SY_ALWAYS_INLINE {
      if constexpr ((row & step) == 0) {
        [&]<int... lane>(std::integer_sequence<int, lane...>) SY_ALWAYS_INLINE {
          const auto upper = tile[row].v;
          const auto lower = tile[row + step].v;
          tile[row].v = __builtin_shufflevector(upper, lower, (lane & step ? width + lane - step : lane)...);
          tile[row + step].v =
              __builtin_shufflevector(upper, lower, (lane & step ? width + lane : lane + step)...);
        }
        (std::make_integer_sequence<int, width>{});
      }
    });
  };
  stage(std::integral_constant<int, 1>{});
  stage(std::integral_constant<int, 2>{});
  stage(std::integral_constant<int, 4>{});
  if constexpr (width == 16) stage(std::integral_constant<int, 8>{});
}
#endif

// Floats of scratch that for_each_column needs.
inline constexpr index_t column_scratch = rows_per_block * pack_lanes;

// f(row, column, value) for each element of a block of rows, column after column. A row stays with one thread,
// so that what f keeps of each row needs no sync.
template <class Team, class F>
SY_HD inline void for_each_column(const Team& team, tensor::ConstMatrix block, [[maybe_unused]] float* scratch,
                                  const F& f) {
  constexpr int width = pack_width<Team>;
  for (index_t first = 0; first < block.cols; first += width) {
    if constexpr (width == 1) {
      team.for_each(block.rows, [=](index_t r) { f(r, first, block(r, first)); });
    } else {
#if SY_PACK_WIDTH > 1
      const index_t columns = block.cols - first < width ? block.cols - first : width;
      for (index_t row = 0; row < block.rows; row += width) {
        Pack<width> tile[as_size(width)];
        unrolled<width>([&](auto r) SY_ALWAYS_INLINE {
          tile[r] = row + r < block.rows ? Pack<width>::load_first(block.row(row + r) + first, columns)
                                         : Pack<width>::broadcast(0.0F);
        });
        transpose(tile);
        unrolled<width>([&](auto c) SY_ALWAYS_INLINE { tile[c].store(scratch + c * rows_per_block + row); });
      }
      for (index_t c = 0; c < columns; ++c) {
        const float* const value = scratch + c * rows_per_block;
        team.for_each(block.rows, [=](index_t r) { f(r, first + c, value[r]); });
      }
#endif
    }
  }
}

}  // namespace switchyard::ops::kernels
