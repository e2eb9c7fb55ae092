#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>

#include "base/timing.hpp"
#include "cli/commands/commands.hpp"
#include "device/describe.hpp"
#include "ops/convert.hpp"
#include "ops/matmul.hpp"

namespace switchyard::cli {
namespace {

struct Case {
  std::string_view what;
  ops::MatmulShape shape;
};

// The products of the Fashion-MNIST mixture at batch 512, and one large square.
constexpr auto no = ops::Transpose::no;
constexpr auto yes = ops::Transpose::yes;
constexpr ops::MatmulShape shape(index_t m, index_t k, index_t n, ops::Transpose a, ops::Transpose b) {
  return {.m = m,
          .n = n,
          .k = k,
          .lda = a == yes ? m : k,
          .ldb = b == yes ? k : n,
          .ldc = n,
          .transpose_a = a,
          .transpose_b = b};
}
const Case cases[] = {
    {"large square", shape(1024, 1024, 1024, no, no)},
    {"whole batch", shape(512, 1352, 512, no, no)},
    {"forward, a shard", shape(64, 1352, 512, no, no)},
    {"input gradient, a shard", shape(64, 512, 1352, no, yes)},
    {"weight gradient, a block", shape(84, 512, 512, yes, no)},
    {"expert forward, a tile", shape(128, 169, 64, no, no)},
    {"expert weight gradient", shape(169, 512, 64, yes, no)},
};

struct Range {
  double least = std::numeric_limits<double>::infinity();
  double most = 0;
  void add(double value) {
    least = std::min(least, value);
    most = std::max(most, value);
  }
};

// Enough independent sums to keep two units of latency four busy, few enough to stay in registers.
constexpr int sums = 12;
constexpr int lanes = 16;

float fma_round(int repeats, float factor) {
  float sum[sums][lanes] = {};
  for (int r = 0; r < repeats; ++r) {
    for (auto& vector : sum) {
      for (float& value : vector) value = std::fma(value, factor, 1.0F);
    }
  }
  float total = 0;
  for (const auto& vector : sum) {
    for (const float value : vector) total += value;
  }
  return total;
}

// Fused multiply-adds of float32 that one core does per second, from registers: the limit of any product. In
// FLOP/s.
double measure_fma_peak() {
  constexpr int repeats = 200'000;
  volatile float factor = 0.5F;
  volatile float sink = 0;
  Times times;
  for (int i = 0; i < 9; ++i) times.add(seconds_of([&] { sink = fma_round(repeats, factor); }));
  (void)sink;
  return 2.0 * sums * lanes * repeats / times.median();
}

template <class T>
Times time_case(const ops::MatmulShape& s, const T* a, const T* b, float* c) {
  Times times;
  const double work = 2.0 * static_cast<double>(s.m * s.n * s.k);
  const int repeats = std::max(1, static_cast<int>(5e7 / work));
  ops::matmul(s, a, b, c);
  for (int i = 0; i < 21; ++i) {
    times.add(seconds_of([&] {
                for (int r = 0; r < repeats; ++r) ops::matmul(s, a, b, c);
              }) /
              repeats);
  }
  return times;
}

}  // namespace

int bench_matmul(Runtime& runtime, Arguments) {
  if (!runtime.is_root()) return 0;
  device::Context context(1);
  const index_t most = 1024 * 1352;
  device::Buffer<float> a(most), b(most), c(most);
  for (index_t i = 0; i < most; ++i) {
    a[i] = static_cast<float>(i % 13) * 0.1F - 0.6F;
    b[i] = static_cast<float>(i % 7) * 0.1F - 0.3F;
  }
  device::Buffer<ops::bfloat16> a16(most), b16(most);
  ops::to_bfloat16(context, a.span(), a16.span());
  ops::to_bfloat16(context, b.span(), b16.span());
  std::cout << fmt::format(
                   "one core of {}; {} with {}; peak: float32 fused multiply-adds from registers, before each "
                   "product\n\n",
                   device::describe_machine().cpu_model, ops::product_library(), ops::product_instruction_set())
            << fmt::format("{:<26} {:>16} {:>9} {:>9} {:>9} {:>8} {:>9} {:>7} {:>9} {:>7}\n", "product",
                           "m x k x n", "p10 us", "median us", "p90 us", "GFLOP/s", "peak GF/s", "share",
                           "bf16 GF/s", "times");
  Range shares, gains;
  for (const Case& test : cases) {
    const ops::MatmulShape& s = test.shape;
    const double work = 2.0 * static_cast<double>(s.m * s.n * s.k);
    const double peak = measure_fma_peak();
    const Times f32 = time_case(s, a.data(), b.data(), c.data());
    const Times bf16 = time_case(s, a16.data(), b16.data(), c.data());
    const double share = work / f32.median() / peak;
    const double gain = f32.median() / bf16.median();
    shares.add(share);
    gains.add(gain);
    std::cout << fmt::format(
        "{:<26} {:>16} {:>9.1f} {:>9.1f} {:>9.1f} {:>8.1f} {:>9.1f} {:>6.0f}% {:>9.1f} {:>7.2f}\n", test.what,
        fmt::format("{}x{}x{}", s.m, s.k, s.n), f32.percentile(0.1) * 1e6, f32.median() * 1e6,
        f32.percentile(0.9) * 1e6, work / f32.median() * 1e-9, peak * 1e-9, 100.0 * share,
        work / bf16.median() * 1e-9, gain);
  }
  std::cout << fmt::format("\nbf16 products ran {:.2f} to {:.2f} times as fast as float32 ones\n", gains.least,
                           gains.most);
  if (shares.most > 1)
    std::cout << "a share above 100%: the core was slower while its peak was measured than in the product\n";
  return 0;
}

}  // namespace switchyard::cli
