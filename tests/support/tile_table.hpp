// Tiles that a test has laid out itself.
#pragma once

#include <algorithm>
#include <vector>

#include "ops/tiles.hpp"

namespace switchyard::test {

// Of so many rows each, one behind the other, all of set 0 and without padding.
class TileTable {
 public:
  explicit TileTable(const std::vector<index_t>& rows) {
    for (const index_t count : rows) {
      const auto begin = static_cast<std::int32_t>(rows_);
      tiles_.push_back({begin, static_cast<std::int32_t>(count), static_cast<std::int32_t>(count), 0});
      rows_ += count;
      most_rows_ = std::max(most_rows_, count);
    }
  }
  ops::TileView view() const { return {tiles_.data(), static_cast<index_t>(tiles_.size()), most_rows_}; }
  index_t rows() const { return rows_; }
  const std::vector<ops::Tile>& tiles() const { return tiles_; }

 private:
  std::vector<ops::Tile> tiles_;
  index_t rows_ = 0;
  index_t most_rows_ = 0;
};

}  // namespace switchyard::test
