#include "checkpoint/detail/pieces.hpp"

#include <algorithm>

#include "base/contract.hpp"

namespace switchyard::checkpoint::detail {

namespace {

struct ElementType {
  index_t bytes;
  const char* name;
};
constexpr ElementType element_types[] = {{4, "float32"}, {8, "float64"}, {8, "int64"}, {1, "uint8"},
                                         {2, "uint16"},  {4, "uint32"},  {1, "int8"},  {2, "int16"},
                                         {4, "int32"}};  // in the order of DType

}  // namespace

index_t element_bytes(DType dtype) { return element_types[as_size(dtype)].bytes; }
const char* name(DType dtype) { return element_types[as_size(dtype)].name; }

std::vector<Piece> cut(const tensor::Shape& shape, IndexRange elements, index_t max_elements) {
  SY_EXPECTS(max_elements >= 1, "pieces of {} elements", max_elements);
  if (elements.empty()) return {};
  if (shape.empty()) return {Piece{{}, {}, 0, 1}};

  std::vector<Piece> pieces;
  const index_t row_elements = tensor::element_count(shape) / shape[0];
  for (index_t next = elements.begin; next < elements.end;) {
    const index_t most = std::min(max_elements, elements.end - next);
    std::size_t axis = 0;
    index_t slice_elements = row_elements;
    while (slice_elements > most || next % slice_elements != 0) slice_elements /= shape[++axis];

    Piece piece{std::vector<index_t>(shape.size(), 0), shape, next, 0};
    index_t outer = next / slice_elements;
    for (std::size_t d = axis + 1; d-- > 0;) {  // the index of the first slice over dimensions 0 to axis
      piece.start[d] = outer % shape[d];
      piece.count[d] = 1;
      outer /= shape[d];
    }
    // Not beyond the end of `axis`: the next run has another index in front of it.
    const index_t slices = std::min(most / slice_elements, shape[axis] - piece.start[axis]);
    piece.count[axis] = slices;
    piece.elements = slices * slice_elements;
    next += piece.elements;
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

}  // namespace switchyard::checkpoint::detail
