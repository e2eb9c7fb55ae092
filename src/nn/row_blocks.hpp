// How the rows of one set of a bank are cut into blocks, and who has which.
#pragma once

#include <algorithm>

#include "base/partition.hpp"

namespace switchyard::nn {

// A set's rows in global order are cut into tiles, and its tiles into blocks: a function of the number of rows
// alone. A block is what a gradient is added up from (nn/block_gradient.hpp), and what copies of the set share
// out: each has a run of them.
struct RowBlocks {
  index_t count = 0;   // of each set; 0: its rows are not cut
  index_t copies = 1;  // at most `count`, or 1
  index_t tile_rows = 1;

  // The tiles of a set of `rows` rows, in blocks, shared out among its copies.
  SharedParts tiles(index_t rows) const {
    return {(rows + tile_rows - 1) / tile_rows, std::max<index_t>(count, 1), copies};
  }
  // Which of the rows a copy has.
  IndexRange rows_of_copy(index_t rows, index_t copy) const {
    const IndexRange of_copy = tiles(rows).range_of(copy);
    return {std::min(rows, of_copy.begin * tile_rows), std::min(rows, of_copy.end * tile_rows)};
  }
};

}  // namespace switchyard::nn
