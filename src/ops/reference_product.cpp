#include "ops/reference_product.hpp"

#include "base/timing.hpp"
#include "ops/matmul.hpp"

namespace switchyard::ops {

ReferenceProduct::ReferenceProduct() : a_(m * k), b_(k * n), c_(m * n) { seconds(); }

double ReferenceProduct::seconds() {
  return seconds_of(
      [&] { matmul({.m = m, .n = n, .k = k, .lda = k, .ldb = n, .ldc = n}, a_.data(), b_.data(), c_.data()); });
}

double measured_matrix_rate() {
  ReferenceProduct product;
  Times times;
  for (int i = 0; i < 7; ++i) times.add(product.seconds());
  return ReferenceProduct::flops / times.median();
}

}  // namespace switchyard::ops
