// Orders of execution are drawn from it: fast, and the same for a seed everywhere.
#pragma once

#include <cstdint>

namespace simgpu {

// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled").
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15U + 0x2545f4914f6cdd1dU) {
    if (state_ == 0) state_ = 1;
  }
  // In [0, count).
  std::uint32_t below(std::uint32_t count) {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    const auto bits = static_cast<std::uint32_t>((state_ * 0x2545f4914f6cdd1dU) >> 32);
    return static_cast<std::uint32_t>((std::uint64_t{bits} * count) >> 32);
  }

 private:
  std::uint64_t state_;
};

}  // namespace simgpu
