// Small pictures inside a page.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"

namespace switchyard::report {

// Of a sample: grey (one channel) or red, green, blue.
struct Picture {
  index_t channels = 1;
  index_t height = 0;
  index_t width = 0;
  std::vector<std::uint8_t> values;  // [height][width][channels]

  bool empty() const { return values.empty(); }
};

// What is black and what is white.
struct Tones {
  double black = 0;
  double white = 1;
};
// From the numbers of a sample, [channels][height][width]. Without tones the smallest is black and the largest
// white. With other than one or three channels, or a side of less than 4, it is no picture: an empty one. Sides
// longer than `most_side` are cut to that by means of neighbours.
Picture picture_of(const std::vector<float>& numbers, index_t channels, index_t height, index_t width,
                   std::optional<Tones> tones = std::nullopt, index_t most_side = 48);

// A PNG file of 8 bits a value.
std::string png_of(const Picture& picture);
std::string base64_of(std::string_view bytes);
// <img> with the picture in it, `side` pixels wide; `text` says what it shows.
std::string picture_html(const Picture& picture, index_t side, std::string_view text);

}  // namespace switchyard::report
