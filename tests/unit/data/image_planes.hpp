// Images in IDX files, and slow references in double for what is done to them.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/error.hpp"
#include "base/philox.hpp"
#include "data/dataset.hpp"
#include "data/detail/table_source.hpp"
#include "data/options.hpp"
#include "support/idx_files.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::data {

// One channel, row by row.
struct Plane {
  index_t height, width;
  std::vector<double> values;

  double at(index_t y, index_t x) const {
    return y < 0 || y >= height || x < 0 || x >= width ? 0 : values[as_size(y * width + x)];
  }
};

template <class Value>
Plane made(index_t height, index_t width, const Value& value) {
  Plane plane{height, width, {}};
  for (index_t y = 0; y < height; ++y) {
    for (index_t x = 0; x < width; ++x) plane.values.push_back(value(y, x));
  }
  return plane;
}

// Every pixel within one of the place adds by how near it is.
inline Plane naive_rotate(const Plane& plane, double degrees) {
  const double angle = degrees * std::numbers::pi / 180;
  const double cy = static_cast<double>(plane.height - 1) / 2, cx = static_cast<double>(plane.width - 1) / 2;
  return made(plane.height, plane.width, [&](index_t y, index_t x) {
    // With y upwards; what is here now was turned clockwise from here by as much.
    const double right = static_cast<double>(x) - cx, up = cy - static_cast<double>(y);
    const double from_right = right * std::cos(-angle) - up * std::sin(-angle);
    const double from_up = right * std::sin(-angle) + up * std::cos(-angle);
    double sum = 0;
    for (index_t v = 0; v < plane.height; ++v) {
      for (index_t u = 0; u < plane.width; ++u) {
        const double dy = std::abs(cy - from_up - static_cast<double>(v));
        const double dx = std::abs(cx + from_right - static_cast<double>(u));
        if (dy < 1 && dx < 1) sum += (1 - dy) * (1 - dx) * plane.at(v, u);
      }
    }
    return sum;
  });
}

// The mean of all pixels under a triangle, one direction after the other.
inline Plane naive_resize(const Plane& plane, index_t height, index_t width) {
  const auto share = [](index_t place, index_t i, index_t from, index_t to) {
    const double scale = static_cast<double>(from) / static_cast<double>(to);
    const double distance = std::abs(static_cast<double>(place) + 0.5 - (static_cast<double>(i) + 0.5) * scale);
    return std::max(0.0, 1 - distance / std::max(1.0, scale));
  };
  const Plane wide = made(plane.height, width, [&](index_t y, index_t x) {
    double sum = 0, shares = 0;
    for (index_t u = 0; u < plane.width; ++u) {
      const double s = share(u, x, plane.width, width);
      sum += s * plane.at(y, u);
      shares += s;
    }
    return sum / shares;
  });
  return made(height, width, [&](index_t y, index_t x) {
    double sum = 0, shares = 0;
    for (index_t v = 0; v < plane.height; ++v) {
      const double s = share(v, y, plane.height, height);
      sum += s * wide.at(v, x);
      shares += s;
    }
    return sum / shares;
  });
}

inline Plane naive_crop(const Plane& plane, index_t height, index_t width) {
  return made(height, width, [&](index_t y, index_t x) {
    return plane.at(y + (plane.height - height) / 2, x + (plane.width - width) / 2);
  });
}

class PreparedImages : public testing::Test {
 protected:
  PreparedImages() {
    config_.dir = dir_.path().string();
    config_.validation_samples = 0;
  }

  // Random images of that size, with labels 0, 1, 2, 0, ...
  void write(std::uint32_t count, std::uint32_t height, std::uint32_t width, std::uint32_t test_count = 3) {
    for (const auto& [prefix, samples, seed] : {std::tuple{"train", count, 1}, {"t10k", test_count, 2}}) {
      test::LabelledImages images{samples, height, width, {}, {}};
      for (std::uint32_t i = 0; i < samples; ++i) {
        images.labels.push_back(static_cast<std::uint8_t>(i % 3));
        for (std::uint32_t p = 0; p < height * width; ++p)
          images.pixels.push_back(static_cast<std::uint8_t>(
              Philox::at(static_cast<std::uint64_t>(seed), RandomUse::test, i, p).word[0]));
      }
      test::write_idx_pair(dir_.path(), prefix, images);
      (samples == count && seed == 1 ? train_ : test_) = images;
    }
  }
  void write_plane(const Plane& plane) {
    test::LabelledImages images{
        1, static_cast<std::uint32_t>(plane.height), static_cast<std::uint32_t>(plane.width), {}, {0}};
    for (const double value : plane.values) images.pixels.push_back(static_cast<std::uint8_t>(value));
    for (const char* const prefix : {"train", "t10k"}) test::write_idx_pair(dir_.path(), prefix, images);
    train_ = images;
  }
  Plane image(index_t i) const {
    const auto pixels = static_cast<index_t>(train_.height * train_.width);
    return made(train_.height, train_.width, [&](index_t y, index_t x) {
      return static_cast<double>(train_.pixels[as_size(i * pixels + y * train_.width + x)]);
    });
  }
  Dataset load(const Reading& reading = {}) const { return load_dataset(config_, 1, reading); }

  static test::Bytes pixels_of(const Dataset& dataset, Split split, index_t sample) {
    Vector<float> row(dataset.shape().features());
    dataset.fill(split, {&sample, 1}, {row.data(), 1, std::ssize(row)});
    test::Bytes pixels;
    for (const float value : row) pixels.push_back(static_cast<std::uint8_t>(std::lround(value * 255)));
    return pixels;
  }
  // Rounded once: no pixel is further from the exact number than a half.
  static void expect_near(const test::Bytes& pixels, const Plane& plane) {
    ASSERT_EQ(pixels.size(), plane.values.size());
    for (std::size_t i = 0; i < pixels.size(); ++i) ASSERT_NEAR(pixels[i], plane.values[i], 0.5 + 1e-9) << i;
  }
  std::string failure(const Reading& reading = {}) const {
    try {
      load(reading);
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("; "));
      return error.what();
    } catch (const DataError& error) {
      return error.what();
    }
    return "no error";
  }

  test::TemporaryDirectory dir_;
  test::LabelledImages train_, test_;
  data::Options config_;
};

// Of tables that no file of these tests has.
inline detail::Tables tables_of(index_t count) {
  const auto table = [&] {
    Vector<std::uint8_t> bytes(count * 4);
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{1});
    detail::Table made{{"train/samples", detail::NumberType::uint8, {count, 2, 2}, std::move(bytes)}};
    made.labels = detail::LabelArray{"train/labels", {}};
    made.ids = detail::LabelArray{"train/ids", {}};
    made.weights = detail::RealArray{"train/weights", {count}, {}};
    for (index_t row = 0; row < count; ++row) {
      made.labels->values.push_back(row % 2);
      made.ids->values.push_back(row * 100 - 100);
      made.weights->values.push_back(static_cast<double>(row + 1));
    }
    return made;
  };
  detail::Tables tables;
  tables.train = table();
  tables.test = table();
  tables.class_names = {"cat", "dog", "none of them"};
  tables.least_classes = 3;
  return tables;
}

}  // namespace switchyard::data
