// Products over the rows of a tile or of a set, in kernels of ours: the gradients that they give of a matrix.
#pragma once

#include "device/context.hpp"
#include "ops/matmul.hpp"
#include "ops/tiles.hpp"

namespace switchyard::ops {

// Rows of two matrices side by side: x [N, in] and y [N, out].
template <class Number>
struct TileFactors {
  const Number* x = nullptr;
  index_t x_stride = 0;
  index_t in = 0;
  const Number* y = nullptr;
  index_t y_stride = 0;
  index_t out = 0;
};

// gradient[t][i, j] = the sum over the rows r of tile t of x_ri y_rj, rows in order, with fused multiply-adds;
// [in, out] each, `stride` apart. One operation for all tiles, for a GPU: the library would be called for each.
// Number: float or bfloat16.
template <class Number>
void tile_gradients(device::Context&, TileView tiles, const TileFactors<Number>& rows, float* gradient,
                    index_t stride);

// The same of the rows of sets, which are all here, without their padding. Zeros for a set without any, or
// added to what is there.
template <class Number>
struct SetGradients {
  TileFactors<Number> rows;
  const Tile* tiles = nullptr;     // of all sets, in the context's memory
  const SetTiles* sets = nullptr;  // there, too
  index_t count = 0;               // of sets
  float* gradient = nullptr;       // of set 0
  index_t stride = 0;
  bool added = false;
};
// Of those with fewer rows than `too_many`, in one launch.
template <class Number>
void tile_set_gradients(device::Context&, const SetGradients<Number>& of, index_t too_many);

}  // namespace switchyard::ops
