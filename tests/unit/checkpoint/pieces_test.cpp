#include "checkpoint/detail/pieces.hpp"

#include <gtest/gtest.h>

namespace switchyard::checkpoint::detail {
namespace {

// The elements of a box, in row-major order, by counting through it.
std::vector<index_t> elements_of(const Piece& piece, const tensor::Shape& shape) {
  std::vector<index_t> elements{0};
  for (std::size_t d = 0; d < shape.size(); ++d) {
    std::vector<index_t> next;
    for (const index_t element : elements)
      for (index_t i = 0; i < piece.count[d]; ++i) next.push_back(element * shape[d] + piece.start[d] + i);
    elements = std::move(next);
  }
  return elements;
}

TEST(Cut, covers_any_run_once_in_order_with_boxes_of_bounded_size) {
  const std::vector<tensor::Shape> shapes = {{1}, {17}, {5, 4}, {3, 2, 2, 4}, {2, 7, 3}, {1, 1, 30}, {4, 1, 6}};
  for (const tensor::Shape& shape : shapes)
    for (index_t limit = 1; limit <= 60; ++limit)
      for (index_t begin = 0; begin <= tensor::element_count(shape); ++begin)
        for (index_t end = begin; end <= tensor::element_count(shape); ++end) {
          index_t next = begin;
          for (const Piece& piece : cut(shape, {begin, end}, limit)) {
            ASSERT_EQ(piece.first_element, next);
            ASSERT_GE(piece.elements, 1);
            ASSERT_LE(piece.elements, limit);
            for (const index_t element : elements_of(piece, shape)) ASSERT_EQ(element, next++);
            ASSERT_EQ(next, piece.first_element + piece.elements);
          }
          ASSERT_EQ(next, end);
        }
}

TEST(Cut, gives_a_scalar_as_one_piece_and_nothing_for_an_empty_array) {
  EXPECT_EQ(cut({}, {0, 1}, 8).size(), 1u);
  EXPECT_EQ(cut({0, 5}, {0, 0}, 8).size(), 0u);
  EXPECT_EQ(cut({5, 0}, {0, 0}, 8).size(), 0u);
}

TEST(Cut, keeps_pieces_near_the_limit) {
  // 1,000 rows of 3 with a limit of 100: 33 rows each.
  EXPECT_EQ(cut({1000, 3}, {0, 3000}, 100).size(), 31u);
  // One row larger than the limit: cut along the second dimension.
  EXPECT_EQ(cut({1, 1000, 3}, {0, 3000}, 100).size(), 31u);
  // From within a row to within another: what is left of the one, whole rows, what is there of the other.
  EXPECT_EQ(cut({1000, 3}, {2, 2 + 97 * 3}, 1000).size(), 3u);
}

}  // namespace
}  // namespace switchyard::checkpoint::detail
