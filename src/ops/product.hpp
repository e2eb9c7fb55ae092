// Matrix products on the device of a context: on a CPU the library's of ops/matmul.hpp, on a GPU enqueued.
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "device/context.hpp"
#include "ops/matmul.hpp"
#include "ops/tiles.hpp"

namespace switchyard::ops {

// As the functions of the same name without a context. On a CPU they may be called from tasks of a pool at the
// same time. On a GPU a row's bits depend on that row and on B alone, however many rows there are.
void matmul(device::Context&, const MatmulShape& shape, const float* a, const float* b, float* c,
            const float* bias = nullptr);
void matmul(device::Context&, const MatmulShape& shape, const bfloat16* a, const bfloat16* b, float* c,
            const float* bias = nullptr);
void matmul(device::Context&, const MatmulShape& shape, const std::int8_t* a, const std::int8_t* b, float* c);

// Rows times the weights of their sets: C[r] = A[r] op(B_s), then the epilogue with bias_s, s the set of row r.
template <class Number>
struct SetProduct {
  index_t n = 0;
  index_t k = 0;
  Transpose transpose_b = Transpose::no;
  Epilogue epilogue = Epilogue::none;
  const Number* a = nullptr;  // row 0 of the batch
  index_t lda = 0;
  const Number* b = nullptr;  // of set 0, as those that follow b_stride apart
  index_t ldb = 0, b_stride = 0;
  const float* bias = nullptr;
  index_t bias_stride = 0;
  float* c = nullptr;
  index_t ldc = 0;
};

// For rows of several sets, each set's neighbours: one product of the library for each set on a CPU, and on a
// GPU one operation for all, whatever their number. `of_rows` says the same as `sets` (ops/tiles.hpp).
// Number: float, bfloat16 or, without an epilogue, std::int8_t.
template <class Number>
void set_products(device::Context&, const SetProduct<Number>& product, Span<const SetRows> sets,
                  RowSets of_rows);

}  // namespace switchyard::ops
