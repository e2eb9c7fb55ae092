#include "events/png.hpp"

#include <array>
#include <cmath>

#include "base/contract.hpp"
#include "files/png.hpp"

namespace switchyard::events {
namespace {

// White, a light blue, a dark one: a shade reads as more, on a bright and on a dark page, in grey as well.
std::string palette() {
  using Colour = std::array<double, 3>;
  constexpr std::array<Colour, 3> stops = {{{255, 255, 255}, {89, 154, 211}, {8, 29, 88}}};
  std::string colours;
  for (int shade = 0; shade < 256; ++shade) {
    const double place = shade / 255.0 * (stops.size() - 1);
    const std::size_t from = shade < 128 ? 0 : 1;
    const double part = place - static_cast<double>(from);
    for (std::size_t c = 0; c < 3; ++c)
      colours += static_cast<char>(std::lround(stops[from][c] * (1 - part) + stops[from + 1][c] * part));
  }
  return colours;
}

}  // namespace

std::string png_of(const ShadeTable& table) {
  SY_EXPECTS(table.rows > 0 && table.columns > 0 && table.cell > 0 &&
                 std::ssize(table.shades) == table.rows * table.columns,
             "a picture of {} x {} cells and {} shades", table.rows, table.columns, table.shades.size());
  std::string pixels;
  pixels.reserve(as_size(table.rows * table.columns * table.cell * table.cell));
  for (index_t row = 0; row < table.rows; ++row) {
    std::string line;
    for (index_t column = 0; column < table.columns; ++column)
      line.append(as_size(table.cell), static_cast<char>(table.shades[row * table.columns + column]));
    for (index_t i = 0; i < table.cell; ++i) pixels += line;
  }
  return files::png_of({.width = table.columns * table.cell,
                        .height = table.rows * table.cell,
                        .colour = files::PngColour::indexed,
                        .values = pixels,
                        .palette = palette()});
}

}  // namespace switchyard::events
