// What cublasLt is told of a product.
//
// It counts in columns: a matrix by rows is its transpose there. C^T = op(B)^T op(A)^T, so that B is its first
// operand, A its second, each with the transpose as it is, and the result has n rows and m columns.
#pragma once

#include <vector>

#include "base/unique_handle.hpp"
#include "ops/cuda/cublas_library.hpp"
#include "ops/cuda/product_key.hpp"

namespace switchyard::ops::cuda {

struct HandleTraits {
  using Handle = cublasLtHandle_t;
  static Handle none() noexcept { return nullptr; }
  static void close(Handle handle) noexcept {
    log_cublas_failure(find_cublas().destroy(handle), "cublasLtDestroy");
  }
};
struct DescTraits {
  using Handle = cublasLtMatmulDesc_t;
  static Handle none() noexcept { return nullptr; }
  static void close(Handle desc) noexcept {
    log_cublas_failure(find_cublas().desc_destroy(desc), "cublasLtMatmulDescDestroy");
  }
};
struct LayoutTraits {
  using Handle = cublasLtMatrixLayout_t;
  static Handle none() noexcept { return nullptr; }
  static void close(Handle layout) noexcept {
    log_cublas_failure(find_cublas().layout_destroy(layout), "cublasLtMatrixLayoutDestroy");
  }
};
using CublasHandle = UniqueHandle<HandleTraits>;

// Of the calling thread's current GPU.
CublasHandle open_cublas_handle();

// A way to compute: bytes that mean the same to every process with this version of the library.
struct Algorithm {
  cublasLtMatmulAlgo_t bytes;
};
// "algorithm 66, tile 20, stages 8"
std::string describe(const Algorithm& algorithm);

// The descriptors of all products of a key. Made once: what differs from call to call is set in place, and
// nothing is allocated.
class Descriptors {
 public:
  explicit Descriptors(const ProductKey& key);

  // The library's own choice for this product, best first: without workspace and without a sum that is cut and
  // added up. None if it has none.
  std::vector<Algorithm> candidates(cublasLtHandle_t handle, const Product& product);
  // Whether it takes the algorithm for this product. BlasError if it cannot say.
  bool accepts(cublasLtHandle_t handle, const Product& product, const Algorithm& algorithm);
  // Enqueues it. BlasError with the shape.
  void run(cublasLtHandle_t handle, const Product& product, const Algorithm& algorithm, void* stream);

 private:
  using Layout = UniqueHandle<LayoutTraits>;
  struct Extent {
    index_t rows = 0, columns = 0, apart = 0, count = 1, stride = 0;
    bool operator==(const Extent&) const = default;
  };
  struct Matrix {
    Layout layout;
    Extent extent;
  };
  void describe_call(const Product& product);
  static void set(Matrix& matrix, const Extent& extent);

  ProductKey key_;
  UniqueHandle<DescTraits> operation_;
  Matrix first_, second_, result_;
};

}  // namespace switchyard::ops::cuda
