#include "events/png.hpp"

#include <zlib.h>

#include <array>
#include <cmath>
#include <string_view>

#include "base/contract.hpp"
#include "base/hash.hpp"

namespace switchyard::events {
namespace {

void put_big_endian(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((value >> shift) & 0xffU);
}

// Length, kind, content, and the checksum of kind and content.
void put_chunk(std::string& out, std::string_view kind, std::string_view content) {
  put_big_endian(out, static_cast<std::uint32_t>(content.size()));
  const std::size_t begin = out.size();
  out.append(kind).append(content);
  put_big_endian(out, crc32(std::as_bytes(std::span<const char>(out).subspan(begin))));
}

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

// Each line of pixels behind a zero: no filter.
std::string lines_of(const ShadeTable& table) {
  std::string lines;
  lines.reserve(as_size(table.rows * table.cell * (table.columns * table.cell + 1)));
  for (index_t row = 0; row < table.rows; ++row) {
    std::string line(1, '\0');
    for (index_t column = 0; column < table.columns; ++column)
      line.append(as_size(table.cell), static_cast<char>(table.shades[row * table.columns + column]));
    for (index_t i = 0; i < table.cell; ++i) lines += line;
  }
  return lines;
}

std::string deflated(std::string_view bytes) {
  uLongf size = ::compressBound(bytes.size());
  std::string out(size, '\0');
  const int code = ::compress2(reinterpret_cast<Bytef*>(out.data()), &size,
                               reinterpret_cast<const Bytef*>(bytes.data()), bytes.size(), Z_BEST_SPEED);
  SY_EXPECTS(code == Z_OK, "zlib compresses {} bytes: code {}", bytes.size(), code);
  out.resize(size);
  return out;
}

}  // namespace

std::string png_of(const ShadeTable& table) {
  SY_EXPECTS(table.rows > 0 && table.columns > 0 && table.cell > 0 &&
                 std::ssize(table.shades) == table.rows * table.columns,
             "a picture of {} x {} cells and {} shades", table.rows, table.columns, table.shades.size());
  std::string header;
  put_big_endian(header, static_cast<std::uint32_t>(table.columns * table.cell));
  put_big_endian(header, static_cast<std::uint32_t>(table.rows * table.cell));
  header += std::string_view("\x08\x03\0\0\0", 5);  // 8 bits, indexed, deflate, filters by line, not interlaced
  std::string out("\x89PNG\r\n\x1a\n");
  put_chunk(out, "IHDR", header);
  put_chunk(out, "PLTE", palette());
  put_chunk(out, "IDAT", deflated(lines_of(table)));
  put_chunk(out, "IEND", "");
  return out;
}

}  // namespace switchyard::events
