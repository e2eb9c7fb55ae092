// Matrix products on the device of a context: on a CPU the library's of ops/matmul.hpp, on a GPU enqueued.
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "device/context.hpp"
#include "ops/matmul.hpp"
#include "ops/tile_gradient.hpp"
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
  index_t sets_of_all_ranks = 1;  // a model's number: no row's bits depend on the sets that are here
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

// The gradient of the weights of each set: gradient_s[i, j] = the sum over the rows r of set s of x_ri y_rj, or
// added to what is there. On a CPU a product of the library for each set; on a GPU one launch for all but those
// with so much work that a call of the library for each is worth it. How a set's is computed depends on its own
// rows alone. `of_sets` says the same as of.sets, without the padding. Number: float or bfloat16.
template <class Number>
void set_gradients(device::Context&, const SetGradients<Number>& of, Span<const SetRows> of_sets);
// That of one set, as a product.
template <class Number>
void set_gradient(device::Context&, const SetGradients<Number>& of, const SetRows& of_set);

}  // namespace switchyard::ops
