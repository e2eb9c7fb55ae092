// Images as the bytes of their files hold them: JPEG (libjpeg-turbo) and PNG (libpng). The one place that knows
// these libraries; what they say is the reason in an exception, and never written anywhere.
#pragma once

#include <cstdint>
#include <string>

#include "base/ids.hpp"
#include "base/span.hpp"

namespace switchyard::data::detail {

struct ImageShape {
  index_t channels = 0;  // 1: grey, 3: red, green and blue
  index_t height = 0;
  index_t width = 0;

  index_t pixels() const { return height * width; }
};

// A decoded image has so many bytes at most, and so many rows and columns: what claims more costs no memory.
inline constexpr index_t most_image_bytes = index_t{1} << 28;
inline constexpr index_t longest_image_side = 65'535;

// What a file says of itself, without a channel for transparency; a PNG with a palette is of colours. Its first
// bytes tell which format it has. Local. Throws DataError, which names the file as `name` does, for what is no
// image of either, or one that is damaged so far, too large, or of inks (CMYK).
ImageShape image_shape(Span<const std::uint8_t> file, const std::string& name);

// Its pixels, channels x height x width, 1 or 3 `channels`. Of a grey image all three are alike. Grey of
// colours is 0.299 red + 0.587 green + 0.114 blue, rounded (ITU-R BT.601), of a JPEG the brightness that it
// holds. 16 bits become 8, rounded; transparency, gamma, profiles and EXIF's orientation are passed over.
// Throws as image_shape(), and for a file that is truncated or damaged anywhere: what libjpeg calls a warning
// is damage.
Vector<std::uint8_t> image_pixels(Span<const std::uint8_t> file, const std::string& name, index_t channels);

}  // namespace switchyard::data::detail
