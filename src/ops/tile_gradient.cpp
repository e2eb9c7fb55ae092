#include "ops/tile_gradient.hpp"

#include "device/launch.hpp"
#include "ops/kernels/tile_gradient.hpp"

namespace switchyard::ops {

template <class Number>
void tile_gradients(device::Context& context, TileView tiles, const TileFactors<Number>& rows, float* gradient,
                    index_t stride) {
  using Kernel = kernels::TileGradient<Number>;
  const index_t in_blocks = (rows.in + Kernel::side - 1) / Kernel::side;
  const index_t out_blocks = (rows.out + Kernel::side - 1) / Kernel::side;
  device::for_each_row(context, tiles.count * in_blocks * out_blocks,
                       Kernel{tiles, rows, gradient, stride, in_blocks, out_blocks});
}

template void tile_gradients(device::Context&, TileView, const TileFactors<float>&, float*, index_t);
template void tile_gradients(device::Context&, TileView, const TileFactors<bfloat16>&, float*, index_t);

}  // namespace switchyard::ops
