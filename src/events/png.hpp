// Pictures of tables of numbers, as PNG files.
#pragma once

#include <cstdint>
#include <string>

#include "base/ids.hpp"
#include "base/span.hpp"

namespace switchyard::events {

// Cells of one size, each of a shade from 0 (nothing, white) to 255 (all, the darkest).
struct ShadeTable {
  index_t rows = 0;
  index_t columns = 0;
  Span<const std::uint8_t> shades;  // [rows, columns]
  index_t cell = 1;                 // pixels of a cell's side
};

// A PNG of 256 indexed colours, in which a pixel's index is its cell's shade. Of a table without cells there is
// none: ContractViolation.
std::string png_of(const ShadeTable& table);

}  // namespace switchyard::events
