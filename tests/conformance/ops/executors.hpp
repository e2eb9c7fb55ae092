// Runs an op on every executor, and random inputs for it.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "conformance/ops/more_executors.hpp"
#include "device/context.hpp"
#include "support/reference.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

namespace reference = switchyard::testing::reference;

// Row counts and widths around the 32 lanes of a team and the vector width.
inline constexpr index_t edge_sizes[] = {0, 1, 2, 5, 31, 32, 33, 64, 100};

// Normal values with standard deviation `spread`, a function of the seed only.
inline std::vector<float> random_values(index_t count, unsigned seed, float spread = 1.0F) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0F, spread);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) v = normal(generator);
  return values;
}

// [batch][places][channels] as [batch][channels][places], the reference's order.
template <class T>
std::vector<T> channels_first(const std::vector<T>& images, index_t batch, index_t places, index_t channels) {
  std::vector<T> result(images.size());
  for (index_t n = 0; n < batch; ++n)
    for (index_t p = 0; p < places; ++p)
      for (index_t c = 0; c < channels; ++c)
        result[static_cast<std::size_t>((n * channels + c) * places + p)] =
            images[static_cast<std::size_t>((n * places + p) * channels + c)];
  return result;
}

inline reference::Array to_array(tensor::ConstMatrix m) {
  reference::Array a(static_cast<std::size_t>(m.rows), static_cast<std::size_t>(m.cols));
  for (index_t r = 0; r < m.rows; ++r)
    for (index_t c = 0; c < m.cols; ++c)
      a(static_cast<std::size_t>(r), static_cast<std::size_t>(c)) = static_cast<double>(m(r, c));
  return a;
}

// A matrix with rows `stride` apart; what lies between rows is filled with a mark that no op may touch or read.
class PaddedMatrix {
 public:
  PaddedMatrix(index_t rows, index_t cols, index_t padding)
      : values_(static_cast<std::size_t>(rows * (cols + padding)), mark),
        view_(values_.data(), rows, cols, cols + padding) {}
  PaddedMatrix(const std::vector<float>& dense, index_t rows, index_t cols, index_t padding)
      : PaddedMatrix(rows, cols, padding) {
    for (index_t r = 0; r < rows; ++r)
      for (index_t c = 0; c < cols; ++c) view_(r, c) = dense[static_cast<std::size_t>(r * cols + c)];
  }
  PaddedMatrix(const PaddedMatrix&) = delete;
  PaddedMatrix& operator=(const PaddedMatrix&) = delete;

  tensor::Matrix view() const { return view_; }
  const std::vector<float>& all() const { return values_; }
  bool padding_is_untouched() const {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      if (static_cast<index_t>(i) % view_.stride >= view_.cols && values_[i] != mark) return false;
    }
    return true;
  }

 private:
  static constexpr float mark = 1e30F;
  std::vector<float> values_;
  tensor::Matrix view_;
};

template <class T>
::testing::AssertionResult same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size())
    return ::testing::AssertionFailure() << a.size() << " against " << b.size() << " values";
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(T)) != 0) {
      return ::testing::AssertionFailure() << "place " << i << ": " << a[i] << " against " << b[i];
    }
  }
  return ::testing::AssertionSuccess();
}

// run(context) returns a vector of results. Expects equal bits on all executors of a processor; returns those
// of one serial thread.
template <class Run>
auto on_every_processor(const std::string& what, const Run& run) {
  device::Context serial(1);
  const auto expected = run(serial);
  const auto compare = [&](const char* name, device::Context& context) {
    EXPECT_TRUE(same_bits(run(context), expected)) << what << " on " << name;
  };
  device::Context pool(3), small_team = device::Context::concurrent(3), warp = device::Context::concurrent(32);
  compare("a pool of three threads", pool);
  compare("a concurrent team of 3", small_team);
  compare("a concurrent team of 32", warp);
  return expected;
}

// The same on all executors: for what calls no product, whose order another device has of its own.
template <class Run>
auto on_every_executor(const std::string& what, const Run& run) {
  const auto expected = on_every_processor(what, run);
  on_more_executors([&](const char* name, device::Context& context) {
    EXPECT_TRUE(same_bits(run(context), expected)) << what << " on " << name;
  });
  return expected;
}

}  // namespace switchyard::ops
