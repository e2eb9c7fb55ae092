// What turns, cuts and scales one channel of an image: each pixel of the result as a weighted sum of some of
// the image's.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/ids.hpp"
#include "base/span.hpp"
#include "data/detail/image_scaling.hpp"

namespace switchyard::data::detail {

// A turn about the centre, counter-clockwise as one looks at the image; turns by quarters are exact.
class Turn {
 public:
  Turn(double degrees, PlaneSize size);

  // Pixels of the image about the place that comes to (x, y), bilinear: at most four, each with its share. What
  // lies outside is black and is left out.
  struct Sources {
    int count = 0;
    std::array<index_t, 4> pixel;
    std::array<double, 4> share;
  };
  Sources sources(index_t y, index_t x) const;

 private:
  PlaneSize size_;
  double sine_, cosine_;
};

// Immutable: any number of threads may apply it at once.
class PixelMap {
 public:
  static PixelMap turn(PlaneSize size, double degrees);
  // The middle of `from`, which is as large at least; of an odd rest one pixel more is cut off below and at the
  // right.
  static PixelMap centre_crop(PlaneSize from, PlaneSize to);
  // As resized(), of planes of one size, many times.
  static PixelMap resize(PlaneSize from, PlaneSize to);

  PlaneSize size() const { return size_; }
  // result[p] of size().pixels(), from a plane of the size that it was made for. In double, in a fixed order.
  void apply(const double* plane, double* result) const;

 private:
  explicit PixelMap(PlaneSize size) : size_(size) {}
  void add(index_t pixel, double share) { terms_.push_back({static_cast<std::int32_t>(pixel), share}); }
  void end_pixel() { ends_.push_back(std::ssize(terms_)); }

  struct Term {
    std::int32_t pixel;
    double share;
  };
  PlaneSize size_;  // of the result
  std::vector<Term> terms_;
  Vector<index_t> ends_;  // of each pixel's terms
};

}  // namespace switchyard::data::detail
