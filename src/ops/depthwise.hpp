// Convolutions with a kernel for each channel, of MobileNet (Howard et al. 2017): a kernel of ours on every
// device, for a channel has too few products for the library's.
#pragma once

#include "device/context.hpp"
#include "ops/conv2d.hpp"
#include "ops/tile_rows.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// As the functions of ops/conv2d.hpp, whose shape is depthwise, 3x3 with a border of one: y[n, p, q, c] =
// bias[c] + sum over u, v of weight[c, 0, u, v] x[n, p stride + u - 1, q stride + v - 1, c].
void depthwise_forward(device::Context&, const Conv2dShape&, const float* x, const float* weight,
                       const float* bias, float* y);
void depthwise_backward_data(device::Context&, const Conv2dShape&, const float* d_y, const float* weight,
                             float* d_x);
// Tiles are cut into parts of images, whose sums are added in order: the cut depends on the size of images
// alone. On a GPU they are memory of the context's workspace() meanwhile.
void depthwise_weight_gradients(device::Context&, const Conv2dShape&, const TileRows& rows, const float* x,
                                const float* d_y, tensor::Matrix gradients);

}  // namespace switchyard::ops
