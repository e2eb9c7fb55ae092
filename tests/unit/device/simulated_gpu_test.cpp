// The teams of the GPU, run by host threads, against the executor of the CPU: equal bits.
#include "simulated_gpu/intrinsics.hpp"

#include "device/cuda/launch.cuh"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "device/launch.hpp"
#include "support/row_kernels/row_kernels.hpp"

namespace switchyard::device {
namespace {

std::vector<float> values(index_t count) {
  std::vector<float> x(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 10.0F * std::sin(1.0F + static_cast<float>(i * i));
  return x;
}

template <class T>
void expect_same_bits(const std::vector<T>& a, const std::vector<T>& b, index_t cols) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(T)), 0) << cols << " columns";
}

TEST(SimulatedGpu, elementwise_kernels_reach_every_element) {
  Context context(1);
  const index_t count = 1000;
  const std::vector<float> x = values(count);
  std::vector<float> cpu(x.size());
  std::vector<float> gpu(x.size());
  for_each(context, count, test::SquarePlusIndex{x.data(), cpu.data()});
  cuda::for_each(context, count, test::SquarePlusIndex{x.data(), gpu.data()});
  expect_same_bits(cpu, gpu, count);
}

// Up to 1,024 columns the scratch lets a warp own a row; above, a block does.
TEST(SimulatedGpu, sums_and_maxima_through_scratch_have_the_bits_of_the_cpu) {
  Context context(1);
  for (const index_t cols : {1, 31, 32, 33, 100, 1024, 1025, 3000}) {
    const index_t rows = cols > 1024 ? 3 : 11;  // more rows than warps in a block
    const std::vector<float> in = values(rows * cols);
    const auto size = static_cast<std::size_t>(rows);
    std::vector<float> cpu_sums(size), cpu_maxima(size), gpu_sums(size), gpu_maxima(size);
    std::vector<double> cpu_doubles(size), gpu_doubles(size);
    const tensor::ConstMatrix matrix(in.data(), rows, cols);
    for_each_row(context, rows,
                 test::SumsThroughScratch{matrix, cpu_sums.data(), cpu_doubles.data(), cpu_maxima.data()});
    cuda::for_each_row(
        context, rows,
        test::SumsThroughScratch{matrix, gpu_sums.data(), gpu_doubles.data(), gpu_maxima.data()});
    expect_same_bits(cpu_sums, gpu_sums, cols);
    expect_same_bits(cpu_doubles, gpu_doubles, cols);
    expect_same_bits(cpu_maxima, gpu_maxima, cols);
  }
}

TEST(SimulatedGpu, rows_in_place_have_the_bits_of_the_cpu) {
  Context context(1);
  const index_t rows = 9;
  for (const index_t cols : {1, 2, 33, 64, 777}) {
    std::vector<float> cpu = values(rows * cols);
    std::vector<float> gpu = cpu;
    for_each_row(context, rows, test::NormaliseAndReverse{{cpu.data(), rows, cols}});
    cuda::for_each_row(context, rows, test::NormaliseAndReverse{{gpu.data(), rows, cols}});
    expect_same_bits(cpu, gpu, cols);
  }
}

struct Maximum {
  const float* x;
  index_t cols;
  float* out;
  index_t scratch_bytes() const { return cols * 4; }
  void operator()(const auto& team, index_t) const {
    const float max = team.max(cols, [&](index_t i) { return x[i]; });
    team.once([&] { *out = max; });
  }
};

// Which zero is the maximum depends on the order of comparisons; a NaN is never it.
TEST(SimulatedGpu, maxima_agree_on_the_sign_of_zero_and_on_nan) {
  Context context(1);
  for (const index_t cols : {40, 1100}) {
    for (const index_t negative : {0, 1, 16, 17, 31}) {
      std::vector<float> in(static_cast<std::size_t>(cols), -1.0F);
      in[static_cast<std::size_t>(negative)] = -0.0F;
      in[5] = 0.0F;
      in[7] = std::numeric_limits<float>::quiet_NaN();
      float cpu = 1, gpu = 1;
      for_each_row(context, 1, Maximum{in.data(), cols, &cpu});
      cuda::for_each_row(context, 1, Maximum{in.data(), cols, &gpu});
      EXPECT_EQ(cpu, 0.0F);
      EXPECT_EQ(std::signbit(cpu), std::signbit(gpu)) << negative << " of " << cols;
    }
  }
}

TEST(SimulatedGpu, nothing_is_launched_for_no_rows) {
  Context context(1);
  cuda::for_each(context, 0, test::SquarePlusIndex{nullptr, nullptr});
  cuda::for_each_row(context, 0, test::NormaliseAndReverse{});
}

}  // namespace
}  // namespace switchyard::device
