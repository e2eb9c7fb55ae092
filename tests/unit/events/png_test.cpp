#include "events/png.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <array>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace switchyard::events {
namespace {

std::uint32_t number_at(std::string_view png, std::size_t place) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) number = number << 8U | static_cast<unsigned char>(png[place + i]);
  return number;
}

// The content of the next chunk, which must be of this kind and have its checksum; `place` moves behind it.
std::string_view chunk(std::string_view png, std::size_t& place, std::string_view kind) {
  const std::size_t size = number_at(png, place);
  EXPECT_EQ(png.substr(place + 4, 4), kind);
  const std::string_view content = png.substr(place + 8, size);
  const auto* const checked = reinterpret_cast<const Bytef*>(png.data() + place + 4);
  EXPECT_EQ(number_at(png, place + 8 + size), ::crc32(0, checked, static_cast<uInt>(size + 4))) << kind;
  place += size + 12;
  return content;
}

TEST(Png, holds_the_shade_of_each_cell) {
  constexpr std::array<std::uint8_t, 6> shades = {0, 128, 255, 7, 0, 1};
  const std::string png = png_of({.rows = 2, .columns = 3, .shades = shades, .cell = 2});
  EXPECT_EQ(png.substr(0, 8), "\x89PNG\r\n\x1a\n");
  std::size_t place = 8;
  const std::string_view header = chunk(png, place, "IHDR");
  EXPECT_EQ(number_at(header, 0), 6U) << "width";
  EXPECT_EQ(number_at(header, 4), 4U) << "height";
  EXPECT_EQ(header.substr(8), std::string_view("\x08\x03\0\0\0", 5));
  const std::string_view palette = chunk(png, place, "PLTE");
  ASSERT_EQ(palette.size(), 768U);
  EXPECT_EQ(palette.substr(0, 3), "\xff\xff\xff");
  EXPECT_EQ(palette.substr(765), "\x08\x1d\x58");
  for (std::size_t shade = 1; shade < 256; ++shade) {
    EXPECT_LE(static_cast<unsigned char>(palette[3 * shade]),
              static_cast<unsigned char>(palette[3 * shade - 3]))
        << "shade " << shade << " is not darker";
  }
  const std::string_view packed = chunk(png, place, "IDAT");
  std::string lines(100, 'x');
  uLongf size = lines.size();
  ASSERT_EQ(::uncompress(reinterpret_cast<Bytef*>(lines.data()), &size,
                         reinterpret_cast<const Bytef*>(packed.data()), packed.size()),
            Z_OK);
  lines.resize(size);
  const std::string first("\0\0\0\x80\x80\xff\xff", 7);
  const std::string second("\0\x07\x07\0\0\x01\x01", 7);
  EXPECT_EQ(lines, first + first + second + second);
  EXPECT_EQ(chunk(png, place, "IEND"), "");
  EXPECT_EQ(place, png.size());
}

TEST(Png, of_no_cells_is_refused) {
  EXPECT_THROW((void)png_of({.rows = 0, .columns = 3, .shades = {}, .cell = 1}), ContractViolation);
}

}  // namespace
}  // namespace switchyard::events
