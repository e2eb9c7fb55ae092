// data.derive and data.prepare, against slow references in double.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <numeric>
#include <set>
#include <vector>

#include "base/error.hpp"
#include "base/philox.hpp"
#include "data/dataset.hpp"
#include "data/detail/table_source.hpp"
#include "data/options.hpp"
#include "support/cifar_files.hpp"
#include "support/idx_files.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::data {
namespace {

using test::Bytes;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

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
Plane naive_rotate(const Plane& plane, double degrees) {
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
Plane naive_resize(const Plane& plane, index_t height, index_t width) {
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

Plane naive_crop(const Plane& plane, index_t height, index_t width) {
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

  static Bytes pixels_of(const Dataset& dataset, Split split, index_t sample) {
    Vector<float> row(dataset.shape().features());
    dataset.fill(split, {&sample, 1}, {row.data(), 1, std::ssize(row)});
    Bytes pixels;
    for (const float value : row) pixels.push_back(static_cast<std::uint8_t>(std::lround(value * 255)));
    return pixels;
  }
  // Rounded once: no pixel is further from the exact number than a half.
  static void expect_near(const Bytes& pixels, const Plane& plane) {
    ASSERT_EQ(pixels.size(), plane.values.size());
    for (std::size_t i = 0; i < pixels.size(); ++i) ASSERT_NEAR(pixels[i], plane.values[i], 0.5 + 1e-9) << i;
  }
  std::string failure(const Reading& reading = {}) const {
    try {
      load(reading);
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr("; "));
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

TEST_F(PreparedImages, turn_by_quarters_to_the_pixel) {
  write(4, 6, 6);
  const auto turned = [&](const char* text) {
    config_.prepare = text;
    return pixels_of(load(), Split::train, 2);
  };
  const Plane plane = image(2);
  const auto expect = [&](const Bytes& pixels, const auto& from) {
    for (index_t y = 0; y < 6; ++y) {
      for (index_t x = 0; x < 6; ++x) ASSERT_EQ(pixels[as_size(y * 6 + x)], from(y, x)) << y << ' ' << x;
    }
  };
  // To the left: the right-most column becomes the first row.
  expect(turned("rotate:90"), [&](index_t y, index_t x) { return plane.at(x, 5 - y); });
  expect(turned("rotate:-270"), [&](index_t y, index_t x) { return plane.at(x, 5 - y); });
  expect(turned("rotate:180"), [&](index_t y, index_t x) { return plane.at(5 - y, 5 - x); });
  expect(turned("rotate:-90"), [&](index_t y, index_t x) { return plane.at(5 - x, y); });
  for (const char* const nothing : {"rotate:0", "rotate:360", "centre_crop:6", "resize:6"})
    expect(turned(nothing), [&](index_t y, index_t x) { return plane.at(y, x); });
}

TEST_F(PreparedImages, turn_by_any_angle) {
  for (const auto& [height, width] : {std::pair{9u, 9u}, {8u, 11u}, {7u, 4u}}) {
    write(2, height, width);
    for (const double degrees : {30.0, -30.0, 45.0, 7.3, 133.0, 300.0}) {
      config_.prepare = fmt::format("rotate:{}", degrees);
      expect_near(pixels_of(load(), Split::train, 1), naive_rotate(image(1), degrees));
    }
  }
}

TEST_F(PreparedImages, turn_into_black) {
  write_plane(made(8, 8, [](index_t, index_t) { return 200.0; }));
  config_.prepare = "rotate:45";
  const Bytes pixels = pixels_of(load(), Split::train, 0);
  EXPECT_EQ(pixels[0], 0);
  EXPECT_EQ(pixels[8 * 4 + 4], 200);
}

// Up by 4/3: centres lie at (i + 0.5) * 3/4 - 0.5 = -0.125, 0.625, 1.375, 2.125, ...; at the edge the triangle
// has less to weigh.
TEST_F(PreparedImages, a_ramp_stays_one_when_it_is_resized) {
  write_plane(made(24, 24, [](index_t, index_t x) { return 8.0 * static_cast<double>(x); }));
  config_.prepare = "resize:32";
  const Dataset dataset = load();
  EXPECT_EQ(dataset.shape(), (tensor::SampleShape{1, 32, 32}));
  const Bytes pixels = pixels_of(dataset, Split::train, 0);
  for (index_t y = 0; y < 32; ++y) {
    EXPECT_EQ(pixels[as_size(y * 32)], 0);
    for (index_t x = 1; x < 31; ++x) EXPECT_EQ(pixels[as_size(y * 32 + x)], 6 * x - 1) << x;
    EXPECT_EQ(pixels[as_size(y * 32 + 31)], 184);
  }
}

TEST_F(PreparedImages, resize_up_and_down) {
  write(2, 12, 10);
  for (const auto& [height, width] : {std::pair{24, 20}, {13, 7}, {5, 4}, {1, 30}, {12, 3}}) {
    config_.prepare = fmt::format("resize:{}x{}", height, width);
    expect_near(pixels_of(load(), Split::train, 1), naive_resize(image(1), height, width));
  }
}

TEST_F(PreparedImages, crop_their_middle) {
  write(2, 9, 12);
  for (const auto& [height, width] : {std::pair{5, 6}, {4, 5}, {9, 12}, {2, 1}}) {
    config_.prepare = fmt::format("centre_crop:{}x{}", height, width);
    expect_near(pixels_of(load(), Split::train, 1), naive_crop(image(1), height, width));
  }
}

TEST_F(PreparedImages, are_rounded_once_behind_all_steps) {
  write(3, 16, 16);
  config_.derive = "rotated:30";
  config_.prepare = "centre_crop:12 rotate:-11 resize:16x20";
  const Dataset dataset = load();
  EXPECT_EQ(dataset.shape(), (tensor::SampleShape{1, 16, 20}));
  const auto chain = [](const Plane& plane) {
    return naive_resize(naive_rotate(naive_crop(plane, 12, 12), -11), 16, 20);
  };
  for (index_t i = 0; i < 3; ++i) {
    expect_near(pixels_of(dataset, Split::train, 2 * i), chain(image(i)));
    expect_near(pixels_of(dataset, Split::train, 2 * i + 1), chain(naive_rotate(image(i), 30)));
  }
}

TEST_F(PreparedImages, of_several_channels_are_turned_one_by_one) {
  test::write_cifar100(dir_.path(), 4, 2);
  config_.source = Source::cifar;
  const Bytes plain = pixels_of(load(), Split::train, 3);
  config_.prepare = "rotate:30 centre_crop:24 resize:32";
  const Bytes pixels = pixels_of(load(), Split::train, 3);
  for (std::size_t channel = 0; channel < 3; ++channel) {
    const Plane plane = made(32, 32, [&](index_t y, index_t x) {
      return static_cast<double>(plain[channel * 1024 + as_size(y * 32 + x)]);
    });
    const auto first = pixels.begin() + static_cast<std::ptrdiff_t>(channel * 1024);
    expect_near(Bytes(first, first + 1024), naive_resize(naive_crop(naive_rotate(plane, 30), 24, 24), 32, 32));
  }
}

TEST_F(PreparedImages, scales_are_learned_of_what_a_model_sees) {
  write(20, 8, 8);
  config_.prepare = "rotate:45";
  const Dataset plain = load();
  double sum = 0;
  for (index_t n = 0; n < 20; ++n) {
    for (const std::uint8_t pixel : pixels_of(plain, Split::train, n)) sum += pixel;
  }
  config_.normalise = Normalise::channel;
  EXPECT_NEAR(load().learned_normalisation()->mean[0], sum / 255 / 20 / 64, 1e-12);
}

class DerivedImages : public PreparedImages {
 protected:
  static std::vector<std::int32_t> numbers(const Dataset& dataset, Split split, bool groups) {
    Vector<index_t> samples(dataset.size(split));
    std::iota(samples.begin(), samples.end(), index_t{0});
    std::vector<std::int32_t> found(samples.size());
    groups ? dataset.fill_groups(split, samples, found) : dataset.fill_labels(split, samples, found);
    return found;
  }
};

TEST_F(DerivedImages, are_two_of_each_with_its_class_as_their_group) {
  write(7, 5, 5);
  config_.derive = "rotated:30";
  const Dataset dataset = load();
  EXPECT_EQ(dataset.class_count(), 2);
  EXPECT_EQ(dataset.group_count(), 3);
  EXPECT_EQ(dataset.size(Split::train), 14);
  EXPECT_EQ(dataset.size(Split::test), 6);
  EXPECT_EQ(dataset.identity().training_samples, 14);
  EXPECT_EQ(dataset.file_samples(Split::train), 14);
  EXPECT_THAT(numbers(dataset, Split::test, false), ElementsAre(0, 1, 0, 1, 0, 1));
  EXPECT_THAT(numbers(dataset, Split::test, true), ElementsAre(0, 0, 1, 1, 2, 2));
  for (index_t i = 0; i < 7; ++i) {
    EXPECT_EQ(dataset.id(Split::train, 2 * i), 2 * i);
    EXPECT_EQ(dataset.id(Split::train, 2 * i + 1), 2 * i + 1);
    expect_near(pixels_of(dataset, Split::train, 2 * i), image(i));
    expect_near(pixels_of(dataset, Split::train, 2 * i + 1), naive_rotate(image(i), 30));
  }
}

TEST_F(DerivedImages, of_one_image_are_in_one_split) {
  write(60, 4, 4);
  const std::uint32_t wanted = 15;
  for (const bool balanced : {false, true}) {
    config_.derive = "none";
    config_.validation_samples = wanted;
    config_.validation_balanced = balanced;
    const Dataset plain = load();
    config_.derive = "rotated:90";
    const Dataset dataset = load();
    EXPECT_EQ(dataset.size(Split::validation), 30);
    EXPECT_EQ(dataset.size(Split::train), 90);
    std::set<std::int64_t> images;
    for (const Split split : {Split::train, Split::validation}) {
      EXPECT_EQ(dataset.size(split), 2 * plain.size(split));
      for (index_t n = 0; n < dataset.size(split); ++n) {
        EXPECT_EQ(dataset.id(split, n), 2 * plain.id(split, n / 2) + n % 2);
        EXPECT_EQ(n % 2 == 1, !images.insert(dataset.id(split, n) / 2).second) << "an image in two splits";
      }
      EXPECT_EQ(pixels_of(dataset, split, 6), pixels_of(plain, split, 3));
    }
    EXPECT_EQ(images.size(), 60u);
    std::map<std::int32_t, int> counts;
    for (const std::int32_t group : numbers(dataset, Split::validation, true)) ++counts[group];
    if (!balanced) continue;
    EXPECT_THAT(counts, ElementsAre(std::pair{0, 10}, std::pair{1, 10}, std::pair{2, 10}));
  }
}

TEST_F(DerivedImages, clusters_of_the_data_make_way_for_classes) {
  test::write_cifar100(dir_.path(), 40, 20);
  config_.source = Source::cifar;
  config_.derive = "rotated:30";
  const Dataset dataset = load();
  EXPECT_EQ(dataset.class_count(), 2);
  EXPECT_EQ(dataset.group_count(), 100);
  EXPECT_EQ(numbers(dataset, Split::train, true)[2 * 31 + 1], 31);
}

// Of tables that no file of these tests has.
detail::Tables tables_of(index_t count) {
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

TEST_F(DerivedImages, keep_names_ids_and_weights) {
  config_.derive = "rotated:180";
  const auto source = detail::make_table_source(tables_of(3), config_, {});
  EXPECT_EQ(source->class_count(), 2);
  EXPECT_EQ(source->group_count(), 3);
  EXPECT_THAT(source->group_names(), ElementsAre("cat", "dog", "none of them"));
  std::vector<std::int64_t> ids;
  std::vector<double> weights;
  for (index_t n = 0; n < 6; ++n) {
    ids.push_back(source->id(Split::test, n));
    weights.push_back(source->weight(Split::train, n));
  }
  EXPECT_THAT(ids, ElementsAre(-200, -199, 0, 1, 200, 201));
  EXPECT_THAT(weights, ElementsAre(1, 1, 2, 2, 3, 3));
  EXPECT_EQ(source->weight_unit(), 2);
  detail::Tables large = tables_of(3);
  large.test->ids->values[1] = std::int64_t{1} << 62;
  EXPECT_THROW(detail::make_table_source(std::move(large), config_, {}), DataError);
}

TEST_F(DerivedImages, without_labels_are_labelled_and_have_no_group) {
  config_.derive = "rotated:180";
  detail::Tables tables = tables_of(3);
  tables.train.reset();
  tables.test->labels.reset();
  const auto source = detail::make_table_source(std::move(tables), config_, {.purpose = Purpose::prediction});
  EXPECT_EQ(source->size(Split::test), 6);
  EXPECT_EQ(source->group_count(), 0);
  EXPECT_TRUE(source->has_labels(Split::test));
  EXPECT_EQ(source->label(Split::test, 3), 1);
}

TEST_F(DerivedImages, a_label_that_is_none_is_named_by_its_image) {
  detail::Tables tables = tables_of(3);
  tables.train->labels->values[2] = -1;
  config_.derive = "rotated:30";
  try {
    detail::make_table_source(std::move(tables), config_, {});
    ADD_FAILURE() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("train/labels[2] is -1"));
  }
}

TEST_F(PreparedImages, are_not_converted) {
  write(3, 5, 5);
  const std::string digest = load({.purpose = Purpose::conversion}).identity().digest;
  config_.derive = "rotated:30";
  config_.prepare = "resize:2";
  config_.augment = "flip";
  const Dataset converted = load({.purpose = Purpose::conversion});
  EXPECT_EQ(converted.identity().digest, digest);
  EXPECT_EQ(converted.size(Split::train), 3);
  EXPECT_EQ(converted.class_count(), 3);
}

TEST_F(PreparedImages, have_a_digest_of_what_a_model_sees) {
  write(5, 6, 6);
  const std::string plain = load().identity().digest;
  config_.augment = "flip crop:1";
  EXPECT_EQ(load().identity().digest, plain);
  config_.prepare = "resize:6";
  EXPECT_EQ(load().identity().digest, plain) << "the same pixels";
  config_.prepare = "rotate:30";
  const std::string turned = load().identity().digest;
  EXPECT_NE(turned, plain);
  config_.derive = "rotated:10";
  EXPECT_NE(load().identity().digest, turned);
}

TEST_F(PreparedImages, steps_that_do_not_fit_are_refused) {
  write(3, 6, 8);
  config_.prepare = "centre_crop:4 resize:5 centre_crop:6x5";
  EXPECT_THAT(failure(),
              AllOf(HasSubstr("data.prepare: centre_crop:6x5 is larger than the images (5 x 5 where it "
                              "comes to them)"),
                    HasSubstr("write a smaller one")));
  config_.prepare = "none";
  config_.augment = "flip crop:6";
  EXPECT_THAT(failure(),
              HasSubstr("data.augment: crop:6 reaches 6 x 6 pixels beyond the images, which are 6 x 8"));
  config_.augment = "blur:3x13:1:2";
  EXPECT_THAT(failure(), HasSubstr("data.augment: blur:3x13:1:2 reaches 6 x 1 pixels"));
  config_.augment = "blur:15x11:1:2";
  EXPECT_EQ(failure(), "no error");
  config_.prepare = "resize:4";
  EXPECT_THAT(failure(), HasSubstr("which are 4 x 4")) << "as they are prepared";
}

TEST_F(PreparedImages, what_are_no_images_is_refused) {
  for (const auto& [type, shape] : {std::pair{detail::NumberType::uint8, tensor::Shape{3, 4}},
                                    {detail::NumberType::int8, tensor::Shape{3, 2, 2}}}) {
    for (std::string data::Options::*key : {&Options::derive, &Options::prepare, &Options::augment}) {
      data::Options options;
      options.validation_samples = 0;
      options.*key = key == &Options::derive ? "rotated:30" : "rotate:30";
      detail::Tables tables = tables_of(3);
      for (std::optional<detail::Table>* table : {&tables.train, &tables.test})
        (*table)->samples = {"own.h5: train/samples", type, shape, Vector<std::uint8_t>(12)};
      try {
        detail::make_table_source(std::move(tables), options, {});
        ADD_FAILURE() << "no error";
      } catch (const ConfigError& error) {
        EXPECT_THAT(error.what(), AllOf(HasSubstr("rotate"), HasSubstr(":30 with samples that are no images"),
                                        HasSubstr("own.h5: train/samples"), HasSubstr("= none")));
      }
    }
  }
}

TEST_F(DerivedImages, of_real_numbers_are_refused) {
  config_.derive = "rotated:30";
  detail::Tables tables = tables_of(3);
  for (std::optional<detail::Table>* table : {&tables.train, &tables.test}) {
    (*table)->labels.reset();
    (*table)->targets = detail::RealArray{"train/labels", {3}, {1, 2, 3}};
  }
  EXPECT_THROW(detail::make_table_source(std::move(tables), config_, {.labels = Labels::numbers}), ConfigError);
  config_.derive = "none";
  config_.prepare = "rotate:180";
  tables = tables_of(3);
  for (std::optional<detail::Table>* table : {&tables.train, &tables.test}) {
    (*table)->labels.reset();
    (*table)->targets = detail::RealArray{"train/labels", {3}, {1, 2, 3}};
  }
  const auto source = detail::make_table_source(std::move(tables), config_, {.labels = Labels::numbers});
  EXPECT_EQ(source->target(Split::train, 2, 0), 3) << "prepared images may have them";
}

}  // namespace
}  // namespace switchyard::data
