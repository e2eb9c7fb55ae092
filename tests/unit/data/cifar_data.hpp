// Small files of CIFAR, and what the samples in them are.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "data/options.hpp"
#include "support/config_error.hpp"
#include "support/idx_files.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::data {

using test::Bytes;
using test::Encoding;

constexpr std::size_t pixel_count = 3072;
constexpr index_t samples_in_a_file = 12;

inline std::uint8_t pixel_of(index_t image, std::size_t place) {
  return static_cast<std::uint8_t>(
      (static_cast<std::uint64_t>(image) * pixel_count + place) * 0x9E3779B97F4A7C15u >> 40);
}

// Labels of image i: of CIFAR-10, then fine and coarse of CIFAR-100.
inline std::uint8_t label_of(index_t image) { return static_cast<std::uint8_t>(image * 7 % 10); }
inline std::uint8_t fine_of(index_t image) { return static_cast<std::uint8_t>((image * 37 + 1) % 100); }
inline std::uint8_t coarse_of(index_t image) { return static_cast<std::uint8_t>((image * 3 + 2) % 20); }

// The records of images first, first + 1, ...
inline Bytes records(bool cifar100, index_t first, index_t count) {
  Bytes bytes;
  for (index_t image = first; image < first + count; ++image) {
    if (cifar100) {
      bytes.push_back(coarse_of(image));
      bytes.push_back(fine_of(image));
    } else {
      bytes.push_back(label_of(image));
    }
    for (std::size_t place = 0; place < pixel_count; ++place) bytes.push_back(pixel_of(image, place));
  }
  return bytes;
}

// Training files hold images 0, 1, ...; the test file images 1000, 1001, ...
class CifarData : public testing::TestWithParam<Encoding> {
 protected:
  CifarData() {
    config_.source = data::Source::cifar;
    config_.dir = dir_.path().string();
    config_.validation_samples = 0;
  }

  void write(const std::string& name, const Bytes& content) {
    written_ = test::write_file(dir_.path() / name, content, GetParam());
  }
  void write_cifar10() {
    for (index_t i = 0; i < 5; ++i)
      write(fmt::format("data_batch_{}.bin", i + 1), records(false, i * samples_in_a_file, samples_in_a_file));
    write("test_batch.bin", records(false, 1000, 5));
  }
  void write_cifar100() {
    write("train.bin", records(true, 0, 40));
    write("test.bin", records(true, 1000, 7));
  }
  void write_names(const std::string& name, const std::string& text) {
    test::write_file(dir_.path() / name, Bytes(text.begin(), text.end()), Encoding::plain);
  }
  Dataset load() const { return load_dataset(config_, 1); }

  template <class Failure>
  std::string failure() {
    return test::data_error_of<Failure>([&] { load(); });
  }

  test::TemporaryDirectory dir_;
  std::filesystem::path written_;  // the last one
  data::Options config_;
};

inline std::vector<float> row_of(const Dataset& dataset, Split split, index_t sample,
                                 const std::optional<Visit>& visit = {}) {
  std::vector<float> row(pixel_count);
  dataset.fill(split, {&sample, 1}, {row.data(), 1, pixel_count}, visit);
  return row;
}

inline std::vector<std::int32_t> labels_of(const Dataset& dataset, Split split) {
  std::vector<index_t> samples(static_cast<std::size_t>(dataset.size(split)));
  std::iota(samples.begin(), samples.end(), index_t{0});
  std::vector<std::int32_t> labels(samples.size());
  dataset.fill_labels(split, samples, labels);
  return labels;
}

}  // namespace switchyard::data
