// y = x W with the signs and zeros of a weight for its numbers, and rows of eight bits.
#pragma once

#include <memory>
#include <string_view>

#include "nn/layer.hpp"

namespace switchyard::nn {

// BitNet b1.58 (Ma et al. 2024): ops/ternary.hpp has the formulas of forward. Backward goes straight through
// the rounding: dX = dY (gamma W_q)^T and dW = (x_q / s)^T dY, for a weight [in, out] in float32, which is what
// is trained. The numbers that products read are made when the weight changed. Forward gives the same bits in
// every precision, and with integer products.
struct TernaryShape {
  index_t in = 0;
  index_t out = 0;
  std::string_view name;
  index_t matrices = 1;  // side by side in the weight, with a gamma each
  bool integer_products = false;

  std::unique_ptr<Layer> make(LayerNames& names, const NetworkOptions& options) const;
};

}  // namespace switchyard::nn
