// Needs a GPU, or the simulated device (tests/simgpu): the executors of src/device/cuda against the CPU, bit
// for bit, with copies and memory of the device.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "base/error.hpp"
#include "device/copy.hpp"
#include "device/cuda/backend.hpp"
#include "support/row_kernels/run.hpp"

namespace switchyard::device {
namespace {

std::vector<float> values(index_t count) {
  std::vector<float> x(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 10.0F * std::sin(1.0F + static_cast<float>(i % 9973));
  return x;
}

Buffer<float> on_device(Context& context, const std::vector<float>& host) {
  Buffer<float> buffer(static_cast<index_t>(host.size()), context.memory());
  copy_to_device(context, host, buffer.span());
  return buffer;
}

template <class T>
std::vector<T> on_host(Context& context, const Buffer<T>& buffer) {
  std::vector<T> host(static_cast<std::size_t>(buffer.count()));
  copy_to_host(context, buffer.span(), std::span<T>(host));
  return host;
}

template <class T>
void expect_same_bits(const std::vector<T>& a, const std::vector<T>& b, index_t cols) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(T)), 0) << cols << " columns";
}

TEST(Gpu, is_found) { EXPECT_GE(cuda_devices().count(), 1) << cuda_devices().why_none; }

TEST(Gpu, elementwise_kernels_have_the_bits_of_the_cpu) {
  const auto run = [](Context context, index_t count) {
    const Buffer<float> x = on_device(context, values(count));
    Buffer<float> out(count, context.memory());
    test::square_plus_index(context, count, x.data(), out.data());
    return on_host(context, out);
  };
  for (const index_t count : {1, 256, 257, 1'000'003}) {
    expect_same_bits(run(Context(2), count), run(Context::cuda(0), count), count);
  }
}

// 1,024 columns are the widest that a warp owns; 20,000 need the opt-in to more than 48 KiB of shared memory.
TEST(Gpu, sums_and_maxima_have_the_bits_of_the_cpu) {
  struct Result {
    std::vector<float> sums, maxima;
    std::vector<double> double_sums;
  };
  const auto run = [](Context context, index_t rows, index_t cols) {
    const Buffer<float> in = on_device(context, values(rows * cols));
    Buffer<float> sums(rows, context.memory());
    Buffer<float> maxima(rows, context.memory());
    Buffer<double> double_sums(rows, context.memory());
    test::sums_through_scratch(context, {in.data(), rows, cols}, sums.data(), double_sums.data(),
                               maxima.data());
    return Result{on_host(context, sums), on_host(context, maxima), on_host(context, double_sums)};
  };
  for (const index_t cols : {1, 31, 33, 1024, 1025, 20'000}) {
    const Result cpu = run(Context(2), 501, cols);
    const Result gpu = run(Context::cuda(0), 501, cols);
    expect_same_bits(cpu.sums, gpu.sums, cols);
    expect_same_bits(cpu.maxima, gpu.maxima, cols);
    expect_same_bits(cpu.double_sums, gpu.double_sums, cols);
  }
}

TEST(Gpu, rows_in_place_have_the_bits_of_the_cpu) {
  const auto run = [](Context context, index_t rows, index_t cols, index_t scratch_bytes) {
    Buffer<float> x = on_device(context, values(rows * cols));
    test::normalise_and_reverse(context, {x.data(), rows, cols}, scratch_bytes);
    return on_host(context, x);
  };
  for (const index_t scratch_bytes : {0, 10'000}) {  // a warp owns a row, and a block
    for (const index_t cols : {1, 2, 100, 4099}) {
      const index_t rows = 299;
      expect_same_bits(run(Context(2), rows, cols, scratch_bytes),
                       run(Context::cuda(0), rows, cols, scratch_bytes), cols);
    }
  }
}

// Which zero is the maximum depends on the order of comparisons; a NaN is never it.
TEST(Gpu, maxima_agree_on_the_sign_of_zero_and_on_nan) {
  const std::vector<index_t> places_of_negative_zero = {0, 1, 16, 17, 31};
  const auto rows = static_cast<index_t>(places_of_negative_zero.size());
  const auto run = [&](Context context, index_t cols, index_t scratch_bytes) {
    std::vector<float> in(static_cast<std::size_t>(rows * cols), -1.0F);
    for (index_t row = 0; row < rows; ++row) {
      float* const x = in.data() + row * cols;
      x[places_of_negative_zero[static_cast<std::size_t>(row)]] = -0.0F;
      x[5] = 0.0F;
      x[7] = std::numeric_limits<float>::quiet_NaN();
    }
    const Buffer<float> x = on_device(context, in);
    Buffer<float> maxima(rows, context.memory());
    test::row_maxima(context, {x.data(), rows, cols}, maxima.data(), scratch_bytes);
    return on_host(context, maxima);
  };
  for (const index_t scratch_bytes : {0, 10'000}) {
    for (const index_t cols : {40, 1100}) {
      const std::vector<float> cpu = run(Context(1), cols, scratch_bytes);
      EXPECT_EQ(cpu, std::vector<float>(cpu.size(), 0.0F));
      expect_same_bits(cpu, run(Context::cuda(0), cols, scratch_bytes), cols);
    }
  }
}

TEST(Gpu, launches_nothing_for_no_rows) {
  Context context = Context::cuda(0);
  test::square_plus_index(context, 0, nullptr, nullptr);
  test::normalise_and_reverse(context, {nullptr, 0, 7}, 0);
  context.wait();
}

TEST(Gpu, says_how_much_shared_memory_a_row_may_have) {
  Context context = Context::cuda(0);
  Buffer<float> sums(1, MemoryKind::device);
  Buffer<double> double_sums(1, MemoryKind::device);
  const index_t cols = 1 << 20;
  const Buffer<float> in(cols, MemoryKind::device);
  EXPECT_THROW(
      test::sums_through_scratch(context, {in.data(), 1, cols}, sums.data(), double_sums.data(), sums.data()),
      CudaError);
  context.wait();  // the context still works
}

TEST(Gpu, out_of_memory_names_the_sizes) {
  Context context = Context::cuda(0);
  EXPECT_THROW(Buffer<std::byte>(index_t{1} << 46, MemoryKind::device), OutOfMemory);
  const Buffer<float> still_works(1024, MemoryKind::device);
  EXPECT_EQ(on_host(context, still_works), std::vector<float>(1024, 0.0F));
}

}  // namespace
}  // namespace switchyard::device
