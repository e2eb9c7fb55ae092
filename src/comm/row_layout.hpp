// Where the rows for each rank, or from each, lie in a buffer.
#pragma once

#include "base/ids.hpp"
#include "base/span.hpp"

namespace switchyard::comm {

// Blocks of rows of one all-to-all: rank r's block is `rows[r]` rows that start at row `first_row[r]`.
struct RowLayout {
  Span<const index_t> rows;
  Span<const index_t> first_row;
};

}  // namespace switchyard::comm
