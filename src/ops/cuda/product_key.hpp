// Which products are computed by one algorithm.
#pragma once

#include <cstdint>
#include <string>

#include "ops/matmul.hpp"

namespace switchyard::ops::cuda {

// What numbers are multiplied, and how: a mode of its own each. Sums are float32, and int32 of int8.
enum class Arithmetic : std::int32_t { float32, tf32, bfloat16, int8 };
index_t bytes_of_operand(Arithmetic arithmetic);

// The operands of one or several products: those of the next lie a stride further.
struct Product {
  MatmulShape shape;
  Arithmetic arithmetic = Arithmetic::float32;
  const void* a = nullptr;
  const void* b = nullptr;
  float* c = nullptr;
  const float* bias = nullptr;  // added by the library; ReLU is never the library's, which makes 0 of a NaN
  index_t count = 1;
  index_t a_stride = 0, b_stride = 0, c_stride = 0;
};

// What an algorithm is chosen for, so that no bit depends on how many rows meet: with A plain the number of its
// rows is free, with A transposed (weight gradients, of rows that vary) the length of the sums. Neither is how
// many products there are, and where rows begin but for what their addresses are multiples of.
struct ProductKey {
  Arithmetic arithmetic = Arithmetic::float32;
  Transpose transpose_a = Transpose::no, transpose_b = Transpose::no;
  std::int32_t bias = 0;  // 1: the library adds it
  index_t m = 0;          // 0: free
  index_t n = 0;
  index_t k = 0;  // 0: free
  // Bytes, 16 at most.
  std::int32_t a_alignment = 16, b_alignment = 16, c_alignment = 16;

  auto operator<=>(const ProductKey&) const = default;
};
ProductKey key_of(const Product& product);

// A product of the key with `free` in place of what is free, of dense operands as far as the alignment allows.
MatmulShape example_shape(const ProductKey& key, index_t free);

// "float32, n 64, k 169, B transposed, bias, alignment 16 4 16"
std::string describe(const ProductKey& key);
std::string_view name_of(Arithmetic arithmetic);

}  // namespace switchyard::ops::cuda
