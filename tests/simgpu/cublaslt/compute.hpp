// The arithmetic of the simulated cublasLt: plain loops over what the descriptors say.
#pragma once

#include <cstddef>

#include "algorithms.hpp"

namespace simgpu::cublaslt {

// One call, with all that it needs: it runs when the caller's descriptors may have changed.
struct Work {
  Operation operation;
  Layout a_layout, b_layout, c_layout, d_layout;
  double alpha = 1, beta = 0;
  const std::byte *a = nullptr, *b = nullptr, *c = nullptr;
  std::byte* d = nullptr;
  const float* bias = nullptr;
  Order order = Order::ascending;
  bool first_is_wrong = false;  // SWITCHYARD_SIMGPU_PRODUCTS=wrong
};
void compute(const Work& work);

}  // namespace simgpu::cublaslt
