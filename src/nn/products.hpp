// Products of a layer's rows, for a run of tiles.
#pragma once

#include "nn/layer.hpp"
#include "ops/product.hpp"
#include "ops/tile_gradient.hpp"

namespace switchyard::nn {

// Rows of a run times the weights of their sets. On a CPU they are of few sets, mostly one; on a GPU they are
// all rows that there are, and one operation.
template <class Number>
void multiply_by_sets(const Pass& pass, const TileRun& run, const ops::SetProduct<Number>& product) {
  if (pass.context.device() == device::DeviceKind::cuda)
    return ops::set_products(pass.context, product, pass.tiles().sets(), pass.tiles().row_sets());
  pass.tiles().for_each_set(run, [&](index_t set, IndexRange rows) {
    const ops::SetRows of_set{set, rows};
    ops::set_products(pass.context, product, Span<const ops::SetRows>(&of_set, 1), {});
  });
}

// Of each tile the product of its rows, x^T y: [in, out].
template <class Number>
void multiply_tiles(const Pass& pass, IndexRange tiles, const ops::TileFactors<Number>& rows,
                    TilePartials partials) {
  if (pass.context.device() == device::DeviceKind::cuda)
    return ops::tile_gradients(pass.context, pass.tiles().view(tiles), rows, partials.first, partials.stride);
  for (index_t tile = tiles.begin; tile < tiles.end; ++tile) {
    const IndexRange of_tile = pass.tiles().rows(tile);
    ops::matmul(pass.context,
                {.m = rows.in,
                 .n = rows.out,
                 .k = of_tile.size(),
                 .lda = rows.x_stride,
                 .ldb = rows.y_stride,
                 .ldc = rows.out,
                 .transpose_a = ops::Transpose::yes},
                rows.x + of_tile.begin * rows.x_stride, rows.y + of_tile.begin * rows.y_stride,
                partials.of(tile - tiles.begin));
  }
}

}  // namespace switchyard::nn
