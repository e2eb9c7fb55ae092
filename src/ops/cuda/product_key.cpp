#include "ops/cuda/product_key.hpp"

#include <fmt/format.h>

#include <cstdint>

#include "base/partition.hpp"

namespace switchyard::ops::cuda {
namespace {

constexpr index_t result_bytes = 4;

// What all rows' addresses are a multiple of, 16 at most.
std::int32_t alignment_of(const void* data, index_t row_elements, index_t stride_elements,
                          index_t element_bytes) {
  // The lowest bit that is set in any of them.
  const std::uint64_t bits = reinterpret_cast<std::uintptr_t>(data) |
                             static_cast<std::uint64_t>(row_elements * element_bytes) |
                             static_cast<std::uint64_t>(stride_elements * element_bytes) | 16U;
  return static_cast<std::int32_t>(bits & (~bits + 1));
}

}  // namespace

index_t bytes_of_operand(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::float32:
    case Arithmetic::tf32:
      return 4;
    case Arithmetic::bfloat16:
      return 2;
    case Arithmetic::int8:
      return 1;
  }
  return 0;
}

std::string_view name_of(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::float32:
      return "float32";
    case Arithmetic::tf32:
      return "TF32";
    case Arithmetic::bfloat16:
      return "bfloat16";
    case Arithmetic::int8:
      return "int8";
  }
  return "";
}

ProductKey key_of(const Product& product) {
  const MatmulShape& s = product.shape;
  const index_t bytes = bytes_of_operand(product.arithmetic);
  const bool plain_a = s.transpose_a == Transpose::no;
  return {.arithmetic = product.arithmetic,
          .transpose_a = s.transpose_a,
          .transpose_b = s.transpose_b,
          .bias = product.bias != nullptr,
          .m = plain_a ? 0 : s.m,
          .n = s.n,
          .k = plain_a ? s.k : 0,
          .a_alignment = alignment_of(product.a, s.lda, product.a_stride, bytes),
          .b_alignment = alignment_of(product.b, s.ldb, product.b_stride, bytes),
          .c_alignment = alignment_of(product.c, s.ldc, product.c_stride, result_bytes)};
}

MatmulShape example_shape(const ProductKey& key, index_t free) {
  const index_t bytes = bytes_of_operand(key.arithmetic);
  const bool plain_a = key.transpose_a == Transpose::no, plain_b = key.transpose_b == Transpose::no;
  MatmulShape s{.m = plain_a ? free : key.m,
                .n = key.n,
                .k = plain_a ? key.k : free,
                .transpose_a = key.transpose_a,
                .transpose_b = key.transpose_b};
  s.lda = round_up(plain_a ? s.k : s.m, key.a_alignment / bytes);
  s.ldb = round_up(plain_b ? s.n : s.k, key.b_alignment / bytes);
  s.ldc = round_up(s.n, key.c_alignment / result_bytes);
  return s;
}

std::string describe(const ProductKey& key) {
  const bool plain_a = key.transpose_a == Transpose::no;
  return fmt::format("{}, {} {}, n {}{}{}{}, alignment {} {} {}", name_of(key.arithmetic), plain_a ? "k" : "m",
                     plain_a ? key.k : key.m, key.n, plain_a ? "" : ", A transposed",
                     key.transpose_b == Transpose::no ? "" : ", B transposed", key.bias != 0 ? ", bias" : "",
                     key.a_alignment, key.b_alignment, key.c_alignment);
}

}  // namespace switchyard::ops::cuda
