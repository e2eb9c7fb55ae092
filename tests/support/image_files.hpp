// Writes images for tests, through libjpeg and libpng: what they hold is known.
#pragma once

#include <cstdint>

#include "support/idx_files.hpp"

namespace switchyard::test {

// Pixel after pixel: height x width x channels, of PNG 1 to 4 channels, of JPEG 1, 3 or 4 (inks).
struct Image {
  std::uint32_t channels = 3;
  std::uint32_t height = 0;
  std::uint32_t width = 0;
  Bytes pixels;  // big-endian pairs where 16 bits are a number

  // Numbers that a seed makes: of neighbours alike enough for JPEG.
  static Image smooth(std::uint32_t channels, std::uint32_t height, std::uint32_t width, std::uint32_t seed);
  // Channel after channel, as a sample has them.
  Bytes planes() const;
};

struct PngForm {
  int bits = 8;             // of a number: below 8 they are packed, and the image is grey or has a palette
  Bytes palette = {};       // red, green and blue of each colour; pixels are then places in it
  bool interlaced = false;  // Adam7
  Bytes transparent =
      {};  // alpha of the palette's colours; else two bytes for each number of the transparent one
};
Bytes png_bytes(const Image& image, const PngForm& form = {});

struct JpegForm {
  int quality = 95;
  bool progressive = false;
  bool in_two_scans =
      false;  // of all bits each, as a grey image may have them: one that comes again is none too many
  bool in_rgb = false;  // not as brightness and two colours
};
Bytes jpeg_bytes(const Image& image, const JpegForm& form = {});
// Height x width x channels of what the library decodes by itself, of 1 or 3 channels.
Bytes decoded_jpeg(const Bytes& file, int channels);

}  // namespace switchyard::test
