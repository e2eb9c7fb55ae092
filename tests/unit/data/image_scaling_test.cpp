#include "data/detail/image_scaling.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "support/image_files.hpp"

namespace switchyard::data::detail {
namespace {

using test::Bytes;

Bytes resized_bytes(const Bytes& plane, PlaneSize from, PlaneSize to) {
  const Vector<std::uint8_t> result = resized(Span<const std::uint8_t>(plane), from, to);
  return {result.begin(), result.end()};
}

double weight_of(index_t k, index_t i, index_t from, index_t to) {
  const double step = static_cast<double>(from) / static_cast<double>(to);
  const double x = (static_cast<double>(i) + 0.5) * step;
  return std::max(0.0, 1 - std::abs(static_cast<double>(k) + 0.5 - x) / std::max(1.0, step));
}

// Every pixel over every other one: the formula in the header.
double slow_pixel(const Bytes& plane, PlaneSize from, PlaneSize to, index_t y, index_t x) {
  double sum = 0, weights = 0;
  for (index_t j = 0; j < from.height; ++j) {
    for (index_t k = 0; k < from.width; ++k) {
      const double weight = weight_of(j, y, from.height, to.height) * weight_of(k, x, from.width, to.width);
      sum += weight * plane[static_cast<std::size_t>(j * from.width + k)];
      weights += weight;
    }
  }
  return sum / weights;
}

TEST(ImageScaling, is_known_where_it_is_simple) {
  EXPECT_EQ(resized_bytes({10, 20, 30, 41}, {2, 2}, {1, 1}), (Bytes{25})) << "25.25";
  EXPECT_EQ(resized_bytes({0, 1}, {1, 2}, {1, 1}), (Bytes{1})) << "a half goes up";
  // From the middle of its two pixels a triangle reaches two to each side: 3, 3, 1 and 1, 3, 3 of 7.
  EXPECT_EQ(resized_bytes({70, 0, 0, 0}, {1, 4}, {1, 2}), (Bytes{30, 0}));
  EXPECT_EQ(resized_bytes({0, 0, 70, 0}, {1, 4}, {1, 2}), (Bytes{10, 30}));
  // Larger: between the middles of pixels, and as the edge beyond them.
  EXPECT_EQ(resized_bytes({0, 100}, {1, 2}, {1, 4}), (Bytes{0, 25, 75, 100}));
  EXPECT_EQ(resized_bytes({0, 100}, {2, 1}, {4, 1}), (Bytes{0, 25, 75, 100}));
}

TEST(ImageScaling, leaves_what_has_the_size_and_what_is_flat) {
  const Bytes plane = test::Image::smooth(1, 9, 13, 4).pixels;
  EXPECT_EQ(resized_bytes(plane, {9, 13}, {9, 13}), plane);
  for (const std::uint8_t value : Bytes{0, 1, 127, 254, 255}) {
    for (const PlaneSize to : {PlaneSize{1, 1}, {3, 40}, {40, 3}, {12, 14}})
      EXPECT_EQ(resized_bytes(Bytes(9 * 13, value), {9, 13}, to),
                Bytes(static_cast<std::size_t>(to.height * to.width), value));
  }
}

TEST(ImageScaling, is_the_formula) {
  const PlaneSize from{23, 31};
  const Bytes plane = test::Image::smooth(1, 23, 31, 7).pixels;
  for (const PlaneSize to : {PlaneSize{8, 8}, {23, 10}, {1, 31}, {50, 29}, {64, 64}, {3, 100}}) {
    const Bytes found = resized_bytes(plane, from, to);
    for (index_t y = 0; y < to.height; ++y) {
      for (index_t x = 0; x < to.width; ++x)
        EXPECT_NEAR(found[static_cast<std::size_t>(y * to.width + x)], slow_pixel(plane, from, to, y, x),
                    0.5 + 1e-9)
            << to.height << " x " << to.width << " at " << y << ", " << x;
    }
  }
}

}  // namespace
}  // namespace switchyard::data::detail
