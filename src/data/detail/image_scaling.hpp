// Images of another size.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.hpp"
#include "base/span.hpp"

namespace switchyard::data::detail {

struct PlaneSize {
  index_t height = 1;
  index_t width = 1;

  index_t pixels() const { return height * width; }
  bool operator==(const PlaneSize&) const = default;
};

// Of one side: the pixels from `first` on that a pixel of the result is made of.
struct SideTerms {
  index_t first = 0;
  std::vector<double> shares;
};
// A side of `from` pixels, as one of `to`: bilinear, as Pillow's BILINEAR. A pixel of the result is at the
// place x = (i + 1/2) * from / to; each pixel of the plane, at k + 1/2, has there the share max(0, 1 - |k + 1/2
// - x| / s), over the sum of them all, with s = max(1, from / to), so that an image that becomes smaller leaves
// nothing out.
std::vector<SideTerms> resized_side(index_t from, index_t to);

// A plane of pixels of the size `from`, as one of the size `to`. Columns first, then rows, in double, rounded
// once, half up.
Vector<std::uint8_t> resized(Span<const std::uint8_t> plane, PlaneSize from, PlaneSize to);

}  // namespace switchyard::data::detail
