// Matrix products, through oneDNN on the CPU.
//
// ops: matmul and conv2d (vendor libraries), and single-source kernels (kernels/) behind plain functions. An op
// knows nothing of ranks: callers cut work into tiles by the problem's shape and give each task whole tiles.
#pragma once

#include <cstdint>
#include <string>

#include "device/context.hpp"

namespace switchyard::ops {

// IEEE float32 cut to its upper 16 bits, round to nearest even.
struct bfloat16 {
  std::uint16_t bits;
};

enum class Transpose { no, yes };
enum class Epilogue { none, bias, bias_relu };

// C[m, n] = op(A)[m, k] op(B)[k, n] (+ C), then the epilogue. Row-major; lda, ldb, ldc are the distances of
// rows of A, B, C as stored. bias has n elements.
struct MatmulShape {
  index_t m = 0;
  index_t n = 0;
  index_t k = 0;
  index_t lda = 0;
  index_t ldb = 0;
  index_t ldc = 0;
  Transpose transpose_a = Transpose::no;
  Transpose transpose_b = Transpose::no;
  bool accumulate = false;  // C += instead of C =; not together with an epilogue
  Epilogue epilogue = Epilogue::none;
  auto operator<=>(const MatmulShape&) const = default;
};

// One single-threaded library call, or for processors without AVX-512 several, in which every row is summed
// alike: bits depend on the shape (strides included) and the values only. The library may cut the sum over k by
// m and n, so a tile has the bits of the whole product at some shapes only: cut a product the same way on every
// layout. (tests/conformance/ops/matmul_rows_test.cpp lists shapes where tiles agree in float32, with AVX-512
// and without.) May be called from tasks of a pool at the same time. For k < 256 and for bfloat16 a primitive
// is built once per thread and shape (about 0.25 ms) and kept. m = 0 or n = 0 is allowed; k = 0 gives C = 0 (or
// the bias). Throws BlasError with the shape.
void matmul(const MatmulShape& shape, const float* a, const float* b, float* c, const float* bias = nullptr);
// bf16 operands, float32 accumulation, bias and result. Where the library has no such product for the
// processor, of the operands as float32: of the same values, and more slowly.
void matmul(const MatmulShape& shape, const bfloat16* a, const bfloat16* b, float* c,
            const float* bias = nullptr);
// Integers, summed in int32 and then rounded to float32: exact below 2^24, so that bits depend on the values
// alone. |B| <= 63, or a processor without instructions for int8 adds two products in int16, which saturates.
void matmul(const MatmulShape& shape, const std::int8_t* a, const std::int8_t* b, float* c);

// Whether the library has products of bf16 for this processor, or for what ONEDNN_MAX_CPU_ISA makes of it.
bool has_bfloat16_products();
// The library that computes products, as it is loaded: what the bits of a run depend on besides the program.
std::string product_library();  // "oneDNN 2.7.2"
// The widest instructions that it uses here, by the processor and ONEDNN_MAX_CPU_ISA: "avx512_core_amx".
std::string product_instruction_set();

}  // namespace switchyard::ops
