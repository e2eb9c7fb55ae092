// data.augment, against slow references in double. That of CIFAR is in cifar_data_test.cpp.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <numeric>
#include <optional>
#include <thread>
#include <vector>

#include "base/philox.hpp"
#include "data/dataset.hpp"
#include "data/options.hpp"
#include "data/sample_file.hpp"
#include "support/allocation_counter.hpp"
#include "support/cifar_files.hpp"
#include "support/idx_files.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::data {
namespace {

constexpr index_t side = 32, features = 3 * side * side;
using Image = std::vector<double>;

double& at(Image& image, index_t channel, index_t y, index_t x) {
  return image[as_size((channel * side + y) * side + x)];
}
double at(const Image& image, index_t channel, index_t y, index_t x) {
  return image[as_size((channel * side + y) * side + x)];
}
// 2 1 | 0 1 ... 30 31 | 30 29
index_t mirrored(index_t place) {
  return std::abs(place) <= side - 1 ? std::abs(place) : 2 * (side - 1) - place;
}

// from(y, x, channel) of each pixel.
Image made(const std::function<double(index_t, index_t, index_t)>& from) {
  Image image(as_size(features));
  for (index_t c = 0; c < 3; ++c) {
    for (index_t y = 0; y < side; ++y) {
      for (index_t x = 0; x < side; ++x) at(image, c, y, x) = from(c, y, x);
    }
  }
  return image;
}

// With the whole kernel at once.
Image naive_blur(const Image& image, index_t width, index_t height, double sigma) {
  const auto bell = [&](index_t x) { return std::exp(-static_cast<double>(x * x) / (2 * sigma * sigma)); };
  return made([&](index_t c, index_t y, index_t x) {
    double sum = 0, weights = 0;
    for (index_t v = -height / 2; v <= height / 2; ++v) {
      for (index_t u = -width / 2; u <= width / 2; ++u) {
        sum += bell(u) * bell(v) * at(image, c, mirrored(y + v), mirrored(x + u));
        weights += bell(u) * bell(v);
      }
    }
    return sum / weights;
  });
}

Image naive_rotate(const Image& image, double degrees) {
  const double angle = degrees * std::numbers::pi / 180, centre = (side - 1) / 2.0;
  return made([&](index_t c, index_t y, index_t x) {
    const double right = static_cast<double>(x) - centre, up = centre - static_cast<double>(y);
    const double from_x = centre + right * std::cos(angle) + up * std::sin(angle);
    const double from_y = centre - (up * std::cos(angle) - right * std::sin(angle));
    double sum = 0;
    for (index_t v = 0; v < side; ++v) {
      for (index_t u = 0; u < side; ++u) {
        const double dy = std::abs(from_y - static_cast<double>(v)),
                     dx = std::abs(from_x - static_cast<double>(u));
        if (dy < 1 && dx < 1) sum += (1 - dy) * (1 - dx) * at(image, c, v, u);
      }
    }
    return sum;
  });
}

// What is drawn, written down once more.
Philox drawn(RandomUse use, const Visit& visit, index_t sample) {
  return Philox::at(visit.seed, use, static_cast<std::uint64_t>(sample),
                    static_cast<std::uint32_t>(visit.epoch));
}
Image naive_flip(const Image& image, const Visit& visit, index_t sample) {
  const bool flips = drawn(RandomUse::augmentation, visit, sample).word[0] >= 0x80000000u;
  return made([&](index_t c, index_t y, index_t x) { return at(image, c, y, flips ? side - 1 - x : x); });
}
Image naive_crop(const Image& image, index_t padding, const Visit& visit, index_t sample) {
  const Philox random = drawn(RandomUse::augmentation, visit, sample);
  const auto place = [&](int word) {
    return static_cast<index_t>(
        std::uint64_t{random.word[word]} * static_cast<std::uint64_t>(2 * padding + 1) >> 32);
  };
  return made([&](index_t c, index_t y, index_t x) {
    return at(image, c, mirrored(y + place(1) - padding), mirrored(x + place(2) - padding));
  });
}
double drawn_sigma(double least, double most, const Visit& visit, index_t sample) {
  return least + (most - least) * drawn(RandomUse::blur_augmentation, visit, sample).uniform64();
}
double drawn_degrees(double most, const Visit& visit, index_t sample) {
  return most * (2 * drawn(RandomUse::turn_augmentation, visit, sample).uniform64() - 1);
}

class Augmentation : public testing::Test {
 protected:
  Augmentation() {
    test::write_cifar100(dir_.path(), 40, 4);
    config_.source = Source::cifar;
    config_.dir = dir_.path().string();
    config_.validation_samples = 0;
  }
  Dataset load(const char* augment) {
    config_.augment = augment;
    return load_dataset(config_, 1);
  }
  static std::vector<float> row_of(const Dataset& dataset, index_t sample, const std::optional<Visit>& visit) {
    std::vector<float> row(as_size(features));
    dataset.fill(Split::train, {&sample, 1}, {row.data(), 1, features}, visit);
    return row;
  }
  // From 0 to 255.
  Image image(index_t sample) {
    Image pixels;
    for (const float value : row_of(load("none"), sample, {})) pixels.push_back(std::round(255.0 * value));
    return pixels;
  }
  static void expect_near(const std::vector<float>& row, const Image& expected) {
    for (std::size_t i = 0; i < row.size(); ++i) ASSERT_NEAR(255.0 * row[i], expected[i], 1e-4) << i;
  }

  test::TemporaryDirectory dir_;
  data::Options config_;
};

// The draws and the bits that a run with them has had since there are images.
TEST_F(Augmentation, flips_and_crops_as_drawn) {
  const Dataset dataset = load("flip crop:4"), other = load("crop:4 flip");
  const Dataset flips = load("flip"), crops = load("crop:7");
  for (index_t sample = 0; sample < 6; ++sample) {
    const Visit visit{11, 3 + sample};
    const Image plain = image(sample);
    const Image flipped_first = naive_crop(naive_flip(plain, visit, sample), 4, visit, sample);
    const std::vector<float> row = row_of(dataset, sample, visit);
    for (std::size_t i = 0; i < row.size(); ++i)
      ASSERT_EQ(row[i], static_cast<float>(flipped_first[i] / 255.0)) << i;
    expect_near(row_of(other, sample, visit), naive_flip(naive_crop(plain, 4, visit, sample), visit, sample));
    expect_near(row_of(flips, sample, visit), naive_flip(plain, visit, sample));
    expect_near(row_of(crops, sample, visit), naive_crop(plain, 7, visit, sample));
  }
}

TEST_F(Augmentation, blurs_as_drawn) {
  const Dataset dataset = load("blur:3x7:1.1:2.2");
  for (index_t sample = 0; sample < 4; ++sample) {
    const Visit visit{5, sample};
    expect_near(row_of(dataset, sample, visit),
                naive_blur(image(sample), 3, 7, drawn_sigma(1.1, 2.2, visit, sample)));
  }
  expect_near(row_of(load("blur:61x1:3:3"), 2, Visit{5, 0}), naive_blur(image(2), 61, 1, 3));
  expect_near(row_of(load("blur:1x1:1:2"), 2, Visit{5, 0}), image(2));
}

TEST_F(Augmentation, turns_as_drawn) {
  const Dataset dataset = load("rotate:40");
  for (index_t sample = 0; sample < 4; ++sample) {
    const Visit visit{5, sample};
    expect_near(row_of(dataset, sample, visit), naive_rotate(image(sample), drawn_degrees(40, visit, sample)));
  }
}

// Words are done in their order, and none changes what another one draws.
TEST_F(Augmentation, words_are_independent_and_in_order) {
  const Dataset dataset = load("rotate:20 crop:3 blur:5x3:0.5:2 flip");
  const Dataset another = load("flip blur:5x3:0.5:2 crop:3");
  for (index_t sample = 0; sample < 4; ++sample) {
    const Visit visit{8, 2 * sample};
    const double sigma = drawn_sigma(0.5, 2, visit, sample);
    Image expected = naive_rotate(image(sample), drawn_degrees(20, visit, sample));
    expected = naive_blur(naive_crop(expected, 3, visit, sample), 5, 3, sigma);
    expect_near(row_of(dataset, sample, visit), naive_flip(expected, visit, sample));
    expected = naive_blur(naive_flip(image(sample), visit, sample), 5, 3, sigma);
    expect_near(row_of(another, sample, visit), naive_crop(expected, 3, visit, sample));
  }
}

// Numbers are scaled as they are, and rounded once.
TEST_F(Augmentation, is_scaled_in_double) {
  const Visit visit{1, 1};
  const Image expected = naive_blur(image(3), 3, 3, drawn_sigma(1, 2, visit, 3));
  config_.mean = {0.5, 0.25, 0.1};
  config_.standard_deviation = {0.1, 0.2, 0.3};
  const std::vector<float> row = row_of(load("blur:3x3:1:2"), 3, visit);
  for (std::size_t i = 0; i < row.size(); ++i) {
    const std::size_t c = i / 1024;
    ASSERT_NEAR(row[i], (expected[i] / 255 - config_.mean[c]) / config_.standard_deviation[c], 2e-6) << i;
  }
}

TEST_F(Augmentation, draws_are_uniform_and_do_not_go_together) {
  constexpr index_t count = 20'000;
  double sum = 0, squares = 0, turns = 0, products = 0, flips = 0, with_flip = 0;
  for (index_t sample = 0; sample < count; ++sample) {
    const Visit visit{3, sample % 7};
    const double sigma = drawn_sigma(0, 1, visit, sample), turn = drawn_degrees(1, visit, sample);
    const double flip = drawn(RandomUse::augmentation, visit, sample).word[0] >> 31 != 0 ? 1 : -1;
    sum += sigma;
    squares += sigma * sigma;
    turns += turn;
    products += (sigma - 0.5) * turn;
    flips += flip;
    with_flip += flip * (sigma - 0.5);
  }
  // Standard deviations: sqrt(1/12) of sigma, sqrt(1/3) of a turn, over sqrt(count); four of them.
  EXPECT_NEAR(sum / count, 0.5, 4 * 0.289 / 141);
  EXPECT_NEAR(squares / count - 0.25, 1.0 / 12, 0.005);
  EXPECT_NEAR(turns / count, 0, 4 * 0.577 / 141);
  EXPECT_NEAR(products / count, 0, 4 * 0.167 / 141);
  EXPECT_NEAR(flips / count, 0, 4 * 1.0 / 141);
  EXPECT_NEAR(with_flip / count, 0, 4 * 0.289 / 141);
}

// Of what a run really draws: the brightness that a bright pixel keeps says its sigma.
TEST_F(Augmentation, sigma_of_an_impulse_is_uniform) {
  test::LabelledImages images{1, 9, 9, test::Bytes(81, 0), {0}};
  images.pixels[40] = 255;
  for (const char* const prefix : {"train", "t10k"}) test::write_idx_pair(dir_.path(), prefix, images);
  config_.source = Source::idx;
  const Dataset dataset = load("blur:3x1:0.5:1.5");
  constexpr index_t count = 4000;
  double sum = 0, squares = 0;
  for (index_t epoch = 0; epoch < count; ++epoch) {
    std::vector<float> row(81);
    const index_t sample = 0;
    dataset.fill(Split::train, {&sample, 1}, {row.data(), 1, 81}, Visit{1, epoch});
    ASSERT_NEAR(row[39] + row[40] + row[41], 1, 1e-6);
    ASSERT_EQ(row[39], row[41]);
    ASSERT_EQ(row[31], 0);
    const double sigma = std::sqrt(-1 / (2 * std::log(row[39] / row[40])));
    ASSERT_GT(sigma, 0.5 - 1e-5);
    ASSERT_LT(sigma, 1.5 + 1e-5);
    sum += sigma;
    squares += (sigma - 1) * (sigma - 1);
  }
  EXPECT_NEAR(sum / count, 1, 4 * 0.289 / 63);
  EXPECT_NEAR(squares / count, 1.0 / 12, 0.006);
}

TEST_F(Augmentation, a_constant_image_stays_constant_when_it_is_blurred) {
  test::LabelledImages images{1, 9, 9, test::Bytes(81, 77), {0}};
  for (const char* const prefix : {"train", "t10k"}) test::write_idx_pair(dir_.path(), prefix, images);
  config_.source = Source::idx;
  const Dataset dataset = load("blur:17x5:0.3:4");
  for (index_t epoch = 0; epoch < 50; ++epoch) {
    std::vector<float> row(81);
    const index_t sample = 0;
    dataset.fill(Split::train, {&sample, 1}, {row.data(), 1, 81}, Visit{1, epoch});
    for (const float value : row) ASSERT_FLOAT_EQ(value, 77.0f / 255);
  }
}

constexpr const char* everything = "flip crop:4 blur:3x7:1.1:2.2 rotate:10";

TEST_F(Augmentation, is_a_function_of_seed_epoch_and_sample_alone) {
  const Dataset dataset = load(everything);
  const Visit visit{2, 9};
  std::vector<std::vector<float>> alone;
  for (index_t sample = 0; sample < 40; ++sample) alone.push_back(row_of(dataset, sample, visit));
  std::vector<index_t> samples(40);
  std::iota(samples.begin(), samples.end(), index_t{0});
  std::ranges::reverse(samples);
  std::vector<std::thread> threads;
  std::vector<std::vector<float>> rows(3, std::vector<float>(as_size(40 * features)));
  for (std::vector<float>& own : rows)
    threads.emplace_back([&] { dataset.fill(Split::train, samples, {own.data(), 40, features}, visit); });
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<float>& own : rows) {
    for (index_t n = 0; n < 40; ++n)
      ASSERT_TRUE(
          std::equal(alone[as_size(39 - n)].begin(), alone[as_size(39 - n)].end(), own.begin() + n * features));
  }
  EXPECT_NE(row_of(dataset, 3, Visit{2, 10}), alone[3]);
  EXPECT_NE(row_of(dataset, 3, Visit{3, 9}), alone[3]);
  EXPECT_EQ(row_of(dataset, 3, {}), row_of(load("none"), 3, {})) << "evaluation";
}

TEST_F(Augmentation, allocates_nothing_once_it_is_warm) {
  const Dataset dataset = load(everything);
  std::vector<float> row(as_size(features));
  const index_t sample = 1;
  const auto fill = [&](index_t epoch) {
    dataset.fill(Split::train, {&sample, 1}, {row.data(), 1, features}, Visit{1, epoch});
  };
  fill(0);
  const std::int64_t before = allocations();
  for (index_t epoch = 1; epoch < 20; ++epoch) fill(epoch);
  EXPECT_EQ(allocations() - before, 0);
}

// Rows of an HDF5 file stay there until they are asked for.
TEST_F(Augmentation, of_rows_in_a_file_is_that_of_rows_in_memory) {
  const std::filesystem::path file = dir_.path() / "own.h5";
  config_.augment = "none";
  write_samples(file, load_dataset(config_, 0, {.purpose = Purpose::conversion}), SampleForm::stored);
  for (const char* const augment : {"flip crop:4", everything}) {
    const Dataset in_memory = load(augment);
    data::Options options;
    options.source = Source::hdf5;
    options.file = file.string();
    options.validation_samples = 0;
    options.augment = augment;
    const Dataset in_file = load_dataset(options, 1);
    EXPECT_EQ(in_file.identity(), in_memory.identity());
    for (const index_t sample : {0, 17, 39})
      EXPECT_EQ(row_of(in_file, sample, Visit{1, 2}), row_of(in_memory, sample, Visit{1, 2}));
    options.prepare = config_.prepare = "rotate:10";
    EXPECT_EQ(load_dataset(options, 1).identity(), load(augment).identity());
    config_.prepare = "none";
  }
}

}  // namespace
}  // namespace switchyard::data
