// Products over the rows of a tile, in kernels of ours: the gradient that a tile gives of a small matrix.
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

}  // namespace switchyard::ops
