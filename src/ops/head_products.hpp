// Products of all heads of attention at once, for a GPU: the library would be called for each.
#pragma once

#include "base/host_device.hpp"
#include "device/context.hpp"
#include "ops/causal.hpp"
#include "ops/matmul.hpp"

namespace switchyard::ops {

// A matrix [rows, cols] of each of neighbouring heads, counted from the first head of the first sequence:
// matrix i is that of head first + i.
struct HeadMatrices {
  float* data = nullptr;  // of head 0
  index_t rows = 0, cols = 0, stride = 0;
  index_t heads = 1;                           // of a sequence
  index_t head_apart = 0, sequence_apart = 0;  // distances of neighbours
  index_t first = 0;

  SY_HD float* of(index_t i) const {
    const index_t head = first + i;
    return data + head / heads * sequence_apart + head % heads * head_apart;
  }
};

// What a mask leaves of a product. Of rows of A that are at `places`: whole, where nothing is masked.
enum class Causal {
  whole,
  seen_columns,  // what rows do not see of C is not computed
  seen_terms,    // rows of A are 0 behind what they see
  seeing_terms   // A is transposed: columns of what it is made of are 0 in rows before their own; places from 0
                 // on
};
struct HeadProduct {
  Transpose transpose_a = Transpose::no;
  HeadMatrices a;
  Transpose transpose_b = Transpose::no;
  HeadMatrices b;
  HeadMatrices c;
  Causal causal = Causal::whole;
  Places places = {};
};

// C_i = op(A_i) op(B_i) of `count` heads, in one launch: terms in ascending order, with fused multiply-adds. A
// row of C has the same bits however many rows and heads there are.
void head_products(device::Context&, const HeadProduct& product, index_t count);

}  // namespace switchyard::ops
