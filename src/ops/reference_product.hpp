// The product that shares of the matrix rate are measured against.
#pragma once

#include "base/ids.hpp"
#include "device/buffer.hpp"

namespace switchyard::ops {

// float32, 512 x 1352 x 512 (the Fashion-MNIST gate's first dense layer), on the calling thread.
class ReferenceProduct {
 public:
  // Computes it once, which plans it.
  ReferenceProduct();
  // Computes it again; takes so long.
  double seconds();

  static constexpr index_t m = 512, k = 1352, n = 512;
  static constexpr double flops = 2.0 * m * k * n;

 private:
  device::Buffer<float> a_, b_, c_;
};

// Floating point operations a second of this thread's core: the median of some such products, a twentieth of a
// second's work or so.
double measured_matrix_rate();

}  // namespace switchyard::ops
