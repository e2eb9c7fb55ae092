// Convolutions as matrix products: what a GPU does for ops/conv2d.hpp. Runs on a CPU too, more slowly than
// oneDNN's.
#pragma once

#include "device/context.hpp"
#include "ops/conv2d.hpp"

namespace switchyard::ops {

// As the functions of ops/conv2d.hpp. What a kernel sees of an image is copied side by side, a row for each
// place of the result, and multiplied by the weights; in pieces of as many images as a bound on those copies
// allows, which are memory of the context's workspace() meanwhile. An image's results have the same bits in any
// batch.
void conv2d_forward_by_columns(device::Context&, const Conv2dShape&, const float* x, const float* weight,
                               const float* bias, float* y);
void conv2d_backward_data_by_columns(device::Context&, const Conv2dShape&, const float* d_y,
                                     const float* weight, float* d_x);

// As conv2d_backward_weights_of_tiles(), with nothing copied, in two launches for all tiles. Tiles are cut into
// parts of images, whose sums are added in order: the cut depends on the size of images alone.
void conv2d_weight_gradients_by_columns(device::Context&, const Conv2dShape&, const TileRows& rows,
                                        const float* x, const float* d_y, tensor::Matrix gradients);

// Images of a piece; at least one.
index_t images_of_piece(const Conv2dShape&);

}  // namespace switchyard::ops
