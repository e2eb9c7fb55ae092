// Pictures as PNG files (ISO/IEC 15948), of 8 bits a value.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.hpp"

namespace switchyard::files {

// What the values of a pixel are, by PNG's own number for it.
enum class PngColour : char { grey = 0, red_green_blue = 2, indexed = 3 };

struct PngImage {
  index_t width = 0;
  index_t height = 0;
  PngColour colour = PngColour::grey;
  std::string_view values;        // [height][width], of colours [height][width][3]
  std::string_view palette = {};  // of indexed ones: red, green and blue of each
};

// Contract: it has a pixel at least, and the values are as many as it needs.
std::string png_of(const PngImage& image);

}  // namespace switchyard::files
