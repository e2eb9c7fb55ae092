// Matrix products by a kernel of ours: what a GPU falls back to, what its library's products are compared with,
// and how the rows of many sets are multiplied in one launch.
#pragma once

#include "base/partition.hpp"
#include "ops/product.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// As matmul(). The terms of a place are added in ascending order with fused multiply-adds, of int8 as integers:
// its bits depend on its row of A and its column of B alone, and are the same on every device and executor.
// Number: float, bfloat16 or std::int8_t.
template <class Number>
void tile_product(device::Context&, const MatmulShape& shape, const Number* a, const Number* b, float* c,
                  const float* bias = nullptr);

// As set_products(), of these rows, in one launch. Where there are several sets, rows.begin is a multiple of
// granule_rows.
template <class Number>
void tile_set_products(device::Context&, const SetProduct<Number>& product, IndexRange rows, RowSets sets);

// The epilogue of a product that is in C: row r of C is row r of the sets. In one launch; none without an
// epilogue.
struct AddedBias {
  Epilogue epilogue = Epilogue::none;
  const float* bias = nullptr;  // of set 0
  index_t bias_stride = 0;
  RowSets sets;
};
void add_bias(device::Context&, const AddedBias& added, tensor::Matrix c);

// C holds int32 in the place of floats, and then floats of the same values.
void int32_to_float(device::Context&, tensor::Matrix c);

}  // namespace switchyard::ops
