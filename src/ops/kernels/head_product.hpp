// The kernel of ops/head_products.hpp, against Team (device/team.hpp).
#pragma once

#include "base/host_device.hpp"
#include "ops/head_products.hpp"
#include "ops/kernels/block_product.hpp"

namespace switchyard::ops::kernels {

// "Row" is a head and a block of its result.
struct HeadProductBlock {
  using Block = BlockProduct<float>;
  static constexpr index_t side = Block::side;

  HeadProduct of;
  index_t terms;
  index_t row_blocks = (of.c.rows + side - 1) / side;
  index_t column_blocks = (of.c.cols + side - 1) / side;

  static constexpr index_t scratch_bytes() { return Block::scratch_bytes(); }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t at) const {
    const index_t head = at / (row_blocks * column_blocks), block = at % (row_blocks * column_blocks);
    const index_t row = block / column_blocks * side, column = block % column_blocks * side;
    const index_t rows = of.c.rows - row < side ? of.c.rows - row : side;
    const index_t seen = of.places.of(row + rows - 1) + 1;  // columns, by the last row
    if (of.causal == Causal::seen_columns && column >= seen) return;
    const index_t begin = of.causal == Causal::seeing_terms ? row : 0;
    const index_t end = of.causal == Causal::seen_terms && seen < terms ? seen : terms;
    Operand<float> a = operand(of.a, head, of.transpose_a == Transpose::no);
    Operand<float> b = operand(of.b, head, of.transpose_b == Transpose::yes);
    a.first += row * a.place_apart + begin * a.term_apart;
    b.first += column * b.place_apart + begin * b.term_apart;
    float* const to = of.c.of(head) + row * of.c.stride + column;
    Block::compute(team, a, rows, b, of.c.cols - column, end - begin,
                   [&](index_t r, index_t q, const Four<float>& sums, index_t count) {
                     write_neighbours(to + r * of.c.stride + q, sums, count);
                   });
  }

 private:
  SY_HD static Operand<float> operand(const HeadMatrices& m, index_t head, bool rows_are_places) {
    return {m.of(head), rows_are_places ? m.stride : 1, rows_are_places ? 1 : m.stride};
  }
};

}  // namespace switchyard::ops::kernels
