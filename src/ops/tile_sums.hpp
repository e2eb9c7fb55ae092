// Figures of a batch: sums over the rows of each of its tiles, in float64, and those over the tiles. Each kind
// is one launch, whatever the number of tiles.
#pragma once

#include <array>
#include <cstdint>

#include "base/host_device.hpp"
#include "base/span.hpp"
#include "device/context.hpp"
#include "ops/tiles.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// Sums of tiles in the memory of a context: column c of tile t is sums[t * stride + c]. The functions below add
// to what is there, each tile's rows in their order.
struct TileSums {
  TileView tiles;
  double* sums = nullptr;
  index_t stride = 0;

  // The same, counted from column `column` on.
  TileSums from(index_t column) const { return {tiles, sums + column, stride}; }
  SY_HD double& at(index_t tile, index_t column) const { return sums[tile * stride + column]; }
};

// One number of each row, and where the sums of the tiles go. One of the two has data.
struct RowFigure {
  const float* f32 = nullptr;
  const double* f64 = nullptr;
  double* sums = nullptr;  // of tile 0
};

// Several of them, which are summed at once.
class RowFigures {
 public:
  static constexpr index_t most = 8;
  // values: [rows], or empty: zeros.
  void add(Span<const float> values, const TileSums& to, index_t column) {
    if (!values.empty()) add({values.data(), nullptr, to.sums + column});
  }
  void add(Span<const double> values, const TileSums& to, index_t column) {
    if (!values.empty()) add({nullptr, values.data(), to.sums + column});
  }
  SY_HD index_t count() const { return count_; }
  SY_HD const RowFigure& operator[](index_t i) const { return figures_[i]; }

 private:
  void add(const RowFigure& figure);

  RowFigure figures_[most];
  index_t count_ = 0;
};
// Each with the 32 lanes of a team over the rows of a tile, as add_sum() (ops/reduce.hpp).
void add_figures(device::Context&, const TileSums& sums, const RowFigures& figures);

// sums[t, c] += x(n, c) over the rows n of tile t.
void add_columns(device::Context&, const TileSums& sums, tensor::ConstMatrix x);
// sums[t, t'] += (x(n, t') - y(n, t'))^2
void add_squared_differences(device::Context&, const TileSums& sums, tensor::ConstMatrix x,
                             tensor::ConstMatrix y);
// sums[t, index[n, i]] += weights(n, i), or 1 where weights have no data; index: [rows, slots] below `columns`.
void add_by_index(device::Context&, const TileSums& sums, Span<const std::int32_t> index, index_t slots,
                  index_t columns, tensor::ConstMatrix weights);
// sums[t, 0] becomes infinite where an element of the tile's rows of x is that or NaN: then all sums of a batch
// are finite only if x is (ops/agreement.hpp).
void add_not_finite(device::Context&, const TileSums& sums, tensor::ConstMatrix x);

// sums[c] = the sum of column c of `all` ([tiles, width]) by the fixed tree over tiles (ops/reduce.hpp); and
// total[c] += it.
void join_tile_sums(device::Context&, Span<const double> all, Span<double> sums, Span<double> total);
// sums[i] += factor * values[i]
void add_scaled(device::Context&, Span<const double> values, double factor, Span<double> sums);

}  // namespace switchyard::ops
