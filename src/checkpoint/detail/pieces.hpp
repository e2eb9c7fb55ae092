// Arrays in pieces of bounded size.
#pragma once

#include <vector>

#include "base/ids.hpp"
#include "checkpoint/checkpoint.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::checkpoint::detail {

// What is in memory at a time, whatever the size of the model.
inline constexpr index_t piece_bytes = index_t{8} << 20;

index_t element_bytes(DType dtype);
const char* name(DType dtype);  // "float32"

// Rows along the first dimension; a scalar has row 0 only.
struct RowRange {
  index_t first_row = 0;
  index_t rows = 0;
};
RowRange all_rows(const tensor::Shape& shape);

// A box of an array that is one run of elements in row-major order.
struct Piece {
  std::vector<index_t> start;  // per dimension; empty for a scalar
  std::vector<index_t> count;
  index_t first_element = 0;  // of the whole array
  index_t elements = 0;
};

// Cuts rows into pieces of at most `max_elements` (at least 1), in row-major order: runs of rows where a row
// fits, else runs along the first dimension whose slices fit. A function of its arguments only, so that the
// rank that sends and the rank that receives cut alike. No rows or no elements: no pieces.
std::vector<Piece> cut(const tensor::Shape& shape, RowRange range, index_t max_elements);

}  // namespace switchyard::checkpoint::detail
