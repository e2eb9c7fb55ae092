// Row kernels of ops/rows.hpp, against Team (device/team.hpp).
#pragma once

#include <cstdint>
#include <limits>

#include "base/host_device.hpp"
#include "ops/kernels/column_sums.hpp"
#include "ops/kernels/columns.hpp"
#include "ops/kernels/math.hpp"
#include "ops/tiles.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops::kernels {

// p_i = e^(x_i - m) / sum_j e^(x_j - m), m = max x. Each place is read before it is written: p may be the
// logits.
struct Softmax {
  tensor::ConstMatrix logits;
  tensor::Matrix p;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const x = logits.row(row);
    float* const out = p.row(row);
    const index_t n = logits.cols;
    const float m = team.max(n, [&](index_t i) { return x[i]; });
    team.for_each(n, [&](index_t i) { out[i] = exp(x[i] - m); });
    const float sum = team.sum(n, [&](index_t i) { return out[i]; });
    team.for_each(n, [&](index_t i) { out[i] /= sum; });
  }
};

// y_i = (x_i - m) - log sum_j e^(x_j - m).
struct LogSoftmax {
  tensor::ConstMatrix logits;
  tensor::Matrix y;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const x = logits.row(row);
    float* const out = y.row(row);
    const index_t n = logits.cols;
    const float m = team.max(n, [&](index_t i) { return x[i]; });
    const float log_sum = log(team.sum(n, [&](index_t i) { return exp(x[i] - m); }));
    team.for_each(n, [&](index_t i) { out[i] = (x[i] - m) - log_sum; });
  }
};

// LogSoftmax of rows that are shorter than a team's lanes, to its bits. "Row" is a block of rows, each in a
// lane of its own, so that the butterfly of a row's sum is a sum of columns.
struct LogSoftmaxOfFew {
  static constexpr index_t most_cols = device::lane_count;
  tensor::ConstMatrix logits;
  tensor::Matrix y;

  // The row's values in the lanes of a team, then their sums.
  SY_HD index_t lanes() const { return logits.cols <= 16 ? 16 : most_cols; }
  index_t scratch_bytes() const {
    return (lanes() * rows_per_block + rows_per_block + column_scratch) * size_of<float>;
  }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t index) const {
    const tensor::ConstMatrix block = block_of_rows(logits, index);
    const index_t n = block.rows;
    const index_t cols = block.cols;
    float* const lane = team.template scratch<float>();
    float* const largest = lane + lanes() * rows_per_block;
    float* const scratch = largest + rows_per_block;
    // A row stays with one thread: no sync is needed.
    team.for_each(n, [=](index_t r) { largest[r] = -__builtin_inff(); });
    for_each_column(team, block, scratch,
                    [=](index_t r, index_t, float x) { largest[r] = device::larger(largest[r], x); });
    for_each_column(team, block, scratch,
                    [=](index_t r, index_t c, float x) { lane[c * rows_per_block + r] = exp(x - largest[r]); });
    for (index_t c = cols; c < lanes(); ++c)
      team.for_each(n, [=](index_t r) { lane[c * rows_per_block + r] = 0.0F; });
    for (index_t half = lanes() / 2; half > 0; half /= 2) {
      for (index_t c = 0; c < half; ++c) {
        team.for_each(
            n, [=](index_t r) { lane[c * rows_per_block + r] += lane[(c + half) * rows_per_block + r]; });
      }
    }
    team.for_each(n, [=](index_t r) { lane[r] = log(lane[r]); });
    const tensor::Matrix out = y.rows_from(index * rows_per_block, n);
    team.for_each(n, [=](index_t r) {
      for (index_t c = 0; c < cols; ++c) out(r, c) = (block(r, c) - largest[r]) - lane[r];
    });
  }
};

struct LogSoftmaxBackward {
  tensor::ConstMatrix y;
  tensor::ConstMatrix d_y;
  tensor::Matrix d_logits;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const log_p = y.row(row);
    const float* const d_out = d_y.row(row);
    float* const d_in = d_logits.row(row);
    const float sum = team.sum(y.cols, [&](index_t i) { return d_out[i]; });
    team.for_each(y.cols, [&](index_t i) { d_in[i] = d_out[i] - exp(log_p[i]) * sum; });
  }
};

// TopK with k = 1. "Row" is a block of rows, since one alone is too little work for vector registers.
struct TopOne {
  tensor::ConstMatrix logits;
  std::int32_t* experts;  // [rows]

  // Per row: its largest value.
  index_t scratch_bytes() const { return (rows_per_block + column_scratch) * size_of<float>; }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t index) const {
    constexpr float lowest = std::numeric_limits<float>::lowest();  // as TopK
    const tensor::ConstMatrix block = block_of_rows(logits, index);
    float* const largest = team.template scratch<float>();
    std::int32_t* const best = experts + index * rows_per_block;
    team.for_each(block.rows, [=](index_t r) {
      largest[r] = lowest;
      best[r] = 0;
    });
    for_each_column(team, block, largest + rows_per_block, [=](index_t r, index_t c, float value) {
      const bool better = value > largest[r];
      best[r] = better ? static_cast<std::int32_t>(c) : best[r];
      largest[r] = better ? value : largest[r];
    });
  }
};

// k rounds of argmax over what is left.
struct TopK {
  tensor::ConstMatrix logits;
  index_t k;
  std::int32_t* experts;  // [rows, k]

  index_t scratch_bytes() const { return logits.cols * size_of<float>; }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    constexpr float taken = -std::numeric_limits<float>::infinity();
    constexpr float lowest = std::numeric_limits<float>::lowest();
    const float* const x = logits.row(row);
    float* const left = team.template scratch<float>();
    // NaN and -infinity count as the smallest finite number, so that `taken` lies below all.
    team.for_each(logits.cols, [&](index_t i) { left[i] = x[i] > lowest ? x[i] : lowest; });
    for (index_t round = 0; round < k; ++round) {
      const index_t best = device::argmax(team, logits.cols, [&](index_t i) { return left[i]; });
      team.once([&] {
        experts[row * k + round] = static_cast<std::int32_t>(best);
        left[best] = taken;
      });
    }
  }
};

struct ReluRows {
  tensor::ConstMatrix x;
  tensor::Matrix y;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const in = x.row(row);
    float* const out = y.row(row);
    team.for_each(x.cols, [&](index_t i) { out[i] = in[i] <= 0.0F ? 0.0F : in[i]; });
  }
};

struct AddRows {
  tensor::ConstMatrix x;
  tensor::Matrix y;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const in = x.row(row);
    float* const out = y.row(row);
    team.for_each(x.cols, [&](index_t i) { out[i] += in[i]; });
  }
};

struct ReluRowsBackward {
  tensor::ConstMatrix y;
  tensor::ConstMatrix d_y;
  tensor::Matrix d_x;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const out = y.row(row);
    const float* const from = d_y.row(row);
    float* const to = d_x.row(row);
    team.for_each(y.cols, [&](index_t i) { to[i] = out[i] <= 0.0F ? 0.0F : from[i]; });
  }
};

// "Row" here is a block of columns.
struct ColumnSums {
  tensor::ConstMatrix x;
  float* sums;    // [cols]
  index_t block;  // columns

  index_t scratch_bytes() const { return block * size_of<double>; }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t index) const {
    sum_block_of_columns(team, x.rows, x.cols, block, index, sums, [&](index_t r) {
      const float* const in = x.row(r);
      return [=](index_t c) { return in[c]; };
    });
  }
};

// "Row" is a tile and a block of columns.
struct TileColumnSums {
  TileColumns columns;
  tensor::ConstMatrix x;
  float* sums;
  index_t stride;

  index_t scratch_bytes() const { return columns.scratch_bytes(); }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const tensor::ConstMatrix rows = x;
    columns.sum(team, row, sums, stride, [=](index_t r) {
      const float* const in = rows.row(r);
      return [=](index_t c) { return in[c]; };
    });
  }
};

// Rows of a table may lie anywhere, so each is asked for while the one before it is copied: a fifth faster for
// 256 rows of 784 floats among 60,000.
struct GatherRows {
  tensor::RowSource source;
  tensor::Matrix out;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const from = source.row(row);
    float* const to = out.row(row);
    if (row + 1 < out.rows) prefetch_row(source.row(row + 1), out.cols);
    team.for_each(out.cols, [&](index_t i) { to[i] = from[i]; });
  }
};

// finite[row] = 1 if no element of the row is NaN or infinite, else 0.
struct RowIsFinite {
  tensor::ConstMatrix x;
  std::uint8_t* finite;  // [rows]

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const in = x.row(row);
    // v - v is 0 for a finite v and NaN otherwise.
    const float failures = team.max(x.cols, [&](index_t i) { return in[i] - in[i] == 0.0F ? 0.0F : 1.0F; });
    team.once([&] { finite[row] = failures > 0.0F ? 0 : 1; });
  }
};

}  // namespace switchyard::ops::kernels
