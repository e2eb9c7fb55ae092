#include "checkpoint/detail/pieces.hpp"

#include <algorithm>

#include "base/contract.hpp"

namespace switchyard::checkpoint::detail {

namespace {

struct ElementType {
  index_t bytes;
  const char* name;
};
constexpr ElementType element_types[] = {
    {4, "float32"}, {8, "float64"}, {8, "int64"}};  // in the order of DType

}  // namespace

index_t element_bytes(DType dtype) { return element_types[as_size(dtype)].bytes; }
const char* name(DType dtype) { return element_types[as_size(dtype)].name; }

RowRange all_rows(const tensor::Shape& shape) { return {0, shape.empty() ? 1 : shape[0]}; }

std::vector<Piece> cut(const tensor::Shape& shape, RowRange range, index_t max_elements) {
  SY_EXPECTS(max_elements >= 1, "pieces of {} elements", max_elements);
  const index_t count = tensor::element_count(shape);
  if (count == 0 || range.rows == 0) return {};
  if (shape.empty()) return {Piece{{}, {}, 0, 1}};

  // Cut along the first dimension `axis` whose slices (all later dimensions) have at most max_elements.
  std::size_t axis = 0;
  index_t slice_elements = count / shape[0];
  while (slice_elements > max_elements) slice_elements /= shape[++axis];
  const index_t slices_per_piece = max_elements / slice_elements;
  const index_t slices_per_row = count / shape[0] / slice_elements;

  std::vector<Piece> pieces;
  const index_t end = (range.first_row + range.rows) * slices_per_row;
  for (index_t slice = range.first_row * slices_per_row; slice < end;) {
    Piece piece{std::vector<index_t>(shape.size(), 0), shape, slice * slice_elements, 0};
    index_t outer = slice;
    for (std::size_t d = axis + 1; d-- > 0;) {  // the index of `slice` over dimensions 0 to axis
      piece.start[d] = outer % shape[d];
      piece.count[d] = 1;
      outer /= shape[d];
    }
    // Not beyond the end of `axis`: the next run has another index in front of it.
    const index_t slices = std::min({slices_per_piece, shape[axis] - piece.start[axis], end - slice});
    piece.count[axis] = slices;
    piece.elements = slices * slice_elements;
    pieces.push_back(std::move(piece));
    slice += slices;
  }
  return pieces;
}

}  // namespace switchyard::checkpoint::detail
