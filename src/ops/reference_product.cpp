#include "ops/reference_product.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include "ops/matmul.hpp"

namespace switchyard::ops {

ReferenceProduct::ReferenceProduct() : a_(m * k), b_(k * n), c_(m * n) { seconds(); }

double ReferenceProduct::seconds() {
  const auto begin = std::chrono::steady_clock::now();
  matmul({.m = m, .n = n, .k = k, .lda = k, .ldb = n, .ldc = n}, a_.data(), b_.data(), c_.data());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double measured_matrix_rate() {
  ReferenceProduct product;
  std::array<double, 7> seconds;
  for (double& of_one : seconds) of_one = product.seconds();
  std::ranges::nth_element(seconds, seconds.begin() + seconds.size() / 2);
  return ReferenceProduct::flops / seconds[seconds.size() / 2];
}

}  // namespace switchyard::ops
