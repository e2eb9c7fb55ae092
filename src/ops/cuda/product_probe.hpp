// Whether an algorithm of the library keeps what we promise of a product.
#pragma once

#include <string>
#include <vector>

#include "device/buffer.hpp"
#include "device/context.hpp"
#include "ops/cuda/descriptors.hpp"

namespace switchyard::ops::cuda {

// Random operands of a key's products, with which algorithms are tried one after the other. Blocking, and with
// memory of its own: for when a shape is met the first time.
//
// An algorithm passes if its values are those of our own kernel within rounding, and if a row has the same bits
// however many rows there are, wherever it lies among them, and in whichever of several products. (With A
// transposed the rows are given: then the same product twice has the same bits.) Bits are compared in float32:
// a rounded result hides most of what has moved.
class ProductProbe {
 public:
  ProductProbe(device::Context& context, const ProductKey& key);

  // Why the algorithm is not taken; empty if it is. BlasError if the library fails, rather than refuses.
  std::string objection(cublasLtHandle_t handle, Descriptors& descriptors, const Algorithm& algorithm);

 private:
  using Bytes = device::Buffer<std::byte>;
  using Values = std::vector<float>;

  // `count` products of `rows` neighbouring rows each, the first of them row `first` of the whole.
  Product part(index_t first, index_t rows, index_t count);
  Values compute(cublasLtHandle_t handle, Descriptors& descriptors, const Algorithm& algorithm,
                 const Product& product);
  Values by_own_kernel(const Product& product);
  Values fetch(index_t rows);
  std::string objection_to_values(const Values& values) const;
  // The largest difference that rounding explains.
  double tolerance() const;

  device::Context& context_;
  ProductKey key_;
  MatmulShape whole_;
  Bytes a_, b_;
  device::Buffer<float> bias_, c_;
  Values expected_;
};

}  // namespace switchyard::ops::cuda
