#include "ops/tile_gradient.hpp"

#include "device/launch.hpp"
#include "ops/kernels/tile_gradient.hpp"

namespace switchyard::ops {
namespace {

template <class Number, class Ranges>
void launch(device::Context& context, index_t ranges, const kernels::RowGradients<Number, Ranges>& kernel) {
  device::for_each_row(context, ranges * kernel.in_blocks * kernel.out_blocks, kernel);
}

}  // namespace

template <class Number>
void tile_gradients(device::Context& context, TileView tiles, const TileFactors<Number>& rows, float* gradient,
                    index_t stride) {
  launch<Number, kernels::RowsOfTiles>(
      context, tiles.count,
      {.ranges = {tiles}, .rows = rows, .gradient = gradient, .apart = stride, .added = false});
}

template <class Number>
void tile_set_gradients(device::Context& context, const SetGradients<Number>& of, index_t too_many) {
  launch<Number, kernels::RowsOfSets>(context, of.count,
                                      {.ranges = {of.tiles, of.sets, too_many},
                                       .rows = of.rows,
                                       .gradient = of.gradient,
                                       .apart = of.stride,
                                       .added = of.added});
}

#define SY_TILE_GRADIENTS_OF(Number)                                                                     \
  template void tile_gradients(device::Context&, TileView, const TileFactors<Number>&, float*, index_t); \
  template void tile_set_gradients(device::Context&, const SetGradients<Number>&, index_t);
SY_TILE_GRADIENTS_OF(float)
SY_TILE_GRADIENTS_OF(bfloat16)
#undef SY_TILE_GRADIENTS_OF

}  // namespace switchyard::ops
