// Images of another size.
#pragma once

#include <cstdint>

#include "base/ids.hpp"
#include "base/span.hpp"

namespace switchyard::data::detail {

struct ImageSize {
  index_t height = 0;
  index_t width = 0;

  bool operator==(const ImageSize&) const = default;
};

// A plane of pixels of the size `from`, as one of the size `to`: bilinear, as Pillow's BILINEAR. A pixel of the
// result is at the place x = (i + 1/2) * from / to of its axis; each pixel of the plane, at k + 1/2, has there
// the weight max(0, 1 - |k + 1/2 - x| / s), over the sum of them all, with s = max(1, from / to), so that an
// image that becomes smaller leaves nothing out. Columns first, then rows, in double, rounded once, half up.
Vector<std::uint8_t> resized(Span<const std::uint8_t> plane, ImageSize from, ImageSize to);

}  // namespace switchyard::data::detail
