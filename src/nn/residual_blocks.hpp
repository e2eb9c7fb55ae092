// Blocks that add what they were given to what they made of it: several layers in a row, with links past some.
#pragma once

#include "nn/layer_text.hpp"
#include "nn/network_shape.hpp"

namespace switchyard::nn {

// Appends the layers of a block, if one comes next; whether it did. ConfigError without a convolution before
// it.
//
// `residual:N[/STRIDE]`, the basic block of He et al. 2016 (1512.03385, figure 2 and option B): two 3x3
// convolutions with batch norm, the first with the stride and a ReLU; a ReLU behind the sum. What was given
// goes through a 1x1 convolution with batch norm where the block changes its size.
//
// `inverted_residual:N[/STRIDE][*EXPANSION]`, the bottleneck of MobileNetV2 (Sandler et al. 2018, 1801.04381,
// table 1): a 1x1 convolution to EXPANSION times as many channels (none where that is 1), a depthwise one with
// the stride, a 1x1 one to N channels, each with batch norm and the first two with ReLU6; what was given is
// added where the block does not change its size.
bool read_residual_block(LayerText& text, NetworkShape& shape);

}  // namespace switchyard::nn
