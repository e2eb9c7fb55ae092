// Arrays in pieces of bounded size.
#pragma once

#include <vector>

#include "base/partition.hpp"
#include "checkpoint/checkpoint.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::checkpoint::detail {

// What is in memory at a time, whatever the size of the model.
inline constexpr index_t piece_bytes = index_t{8} << 20;

index_t element_bytes(DType dtype);
const char* name(DType dtype);  // "float32"

// A box of an array that is one run of elements in row-major order.
struct Piece {
  std::vector<index_t> start;  // per dimension; empty for a scalar
  std::vector<index_t> count;
  index_t first_element = 0;  // of the whole array
  index_t elements = 0;
};

// Cuts a run of elements into pieces of at most `max_elements` (at least 1), in row-major order. Each is a run
// along the first dimension of which a whole slice (all later dimensions) begins there and fits: where the run
// is of whole rows, and a row fits, these are runs of rows. A function of its arguments only, so that the rank
// that sends and the rank that receives cut alike. No elements: no pieces.
std::vector<Piece> cut(const tensor::Shape& shape, IndexRange elements, index_t max_elements);

}  // namespace switchyard::checkpoint::detail
