#include "cli/bench/timing.hpp"

#include <cmath>

namespace switchyard::cli {
namespace {

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

}  // namespace

double measure_fma_peak() {
  constexpr int repeats = 200'000;
  volatile float factor = 0.5F;
  volatile float sink = 0;
  Times times;
  for (int i = 0; i < 9; ++i) times.add(seconds_of([&] { sink = fma_round(repeats, factor); }));
  (void)sink;
  return 2.0 * sums * lanes * repeats / times.median();
}

}  // namespace switchyard::cli
