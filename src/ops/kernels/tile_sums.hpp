// Kernels of ops/tile_sums.hpp. A row is a tile, or a piece of the sums of one.
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "device/team.hpp"
#include "ops/kernels/tree.hpp"
#include "ops/tile_sums.hpp"

namespace switchyard::ops::kernels {

struct AddFigures {
  TileSums of;
  RowFigures figures;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const index_t count = figures.count();
    const index_t tile = row / count;
    const RowFigure& figure = figures[row % count];
    const Tile& rows = of.tiles[tile];
    const index_t first = rows.first_row;
    const double added =
        figure.f32 != nullptr
            ? team.sum(rows.rows, [&](index_t i) { return static_cast<double>(figure.f32[first + i]); })
            : team.sum(rows.rows, [&](index_t i) { return figure.f64[first + i]; });
    team.once([&] { figure.sums[tile * of.stride] += added; });
  }
};

// A column stays with one thread, so that no sync is needed on the way down the rows.
template <class Term>
struct AddTerms {
  TileSums of;
  index_t cols;
  index_t block;  // columns of a row of the kernel
  Term term;

  SY_HD index_t blocks() const { return (cols + block - 1) / block; }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const index_t tile = row / blocks();
    const index_t first = row % blocks() * block;
    const index_t n = cols - first < block ? cols - first : block;
    const Tile& rows = of.tiles[tile];
    double* const sums = &of.at(tile, first);
    for (index_t r = rows.first_row; r < index_t{rows.first_row} + rows.rows; ++r) {
      const auto of_row = term.row(r);
      team.for_each(n, [=](index_t c) { sums[c] += of_row(first + c); });
    }
  }
};

struct ColumnTerm {
  tensor::ConstMatrix x;
  SY_HD auto row(index_t r) const {
    const float* const values = x.row(r);
    return [=](index_t c) { return static_cast<double>(values[c]); };
  }
};

struct SquaredDifferenceTerm {
  tensor::ConstMatrix x, y;
  SY_HD auto row(index_t r) const {
    const float* const values = x.row(r);
    const float* const others = y.row(r);
    return [=](index_t c) {
      const double difference = static_cast<double>(values[c]) - others[c];
      return difference * difference;
    };
  }
};

struct AddByIndex {
  TileSums of;
  const std::int32_t* index;  // [rows, slots]
  index_t slots;
  index_t columns;
  tensor::ConstMatrix weights;  // no data: 1

  SY_HD double weight(index_t r, index_t i) const { return weights.data != nullptr ? weights(r, i) : 1.0; }

  // Each thread looks for its columns: places that are written in the order of rows have one writer.
  template <class Team>
  SY_HD void operator()(const Team& team, index_t tile) const {
    const Tile& rows = of.tiles[tile];
    team.for_each(columns, [&](index_t c) {
      double sum = of.at(tile, c);
      for (index_t r = rows.first_row; r < index_t{rows.first_row} + rows.rows; ++r) {
        for (index_t i = 0; i < slots; ++i) {
          if (index[r * slots + i] == c) sum += weight(r, i);
        }
      }
      of.at(tile, c) = sum;
    });
  }

  // One thread writes all places as they come.
  SY_HD void operator()(const device::SerialTeam& /*team*/, index_t tile) const {
    const Tile& rows = of.tiles[tile];
    for (index_t r = rows.first_row; r < index_t{rows.first_row} + rows.rows; ++r) {
      for (index_t i = 0; i < slots; ++i) of.at(tile, index[r * slots + i]) += weight(r, i);
    }
  }
};

struct AddNotFinite {
  TileSums of;
  tensor::ConstMatrix x;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t tile) const {
    const Tile& rows = of.tiles[tile];
    // Rows side by side are looked through as one.
    const bool is_dense = x.stride == x.cols;
    const index_t steps = is_dense ? 1 : rows.rows;
    const index_t n = is_dense ? rows.rows * x.cols : x.cols;
    float failures = 0.0F;
    for (index_t step = 0; step < steps; ++step) {
      const float* const in = x.row(rows.first_row + step);
      // v - v is 0 for a finite v and NaN otherwise. NOLINTBEGIN(misc-redundant-expression)
      const float failed = team.max(n, [=](index_t i) { return in[i] - in[i] == 0.0F ? 0.0F : 1.0F; });
      // NOLINTEND(misc-redundant-expression)
      failures = device::larger(failures, failed);
    }
    team.once([&] {
      if (failures > 0.0F) of.at(tile, 0) = __builtin_inf();
    });
  }
};

struct JoinTileSums {
  const double* all;
  index_t tiles;
  index_t width;
  double* sums;
  double* total;

  SY_HD void operator()(index_t c) const {
    const double* const column = all + c;
    const index_t apart = width;
    const double sum = tree_sum(tiles, [=](index_t tile) { return column[tile * apart]; });
    sums[c] = sum;
    total[c] += sum;
  }
};

struct AddScaled {
  const double* values;
  double factor;
  double* sums;
  SY_HD void operator()(index_t i) const { sums[i] += factor * values[i]; }
};

}  // namespace switchyard::ops::kernels
