// Philox 4x32-10, the counter-based generator of Salmon et al. 2011 ("Parallel random numbers: as easy as 1, 2,
// 3").
//
// Every random number of the program is a pure function of (seed, use, a, b, c): there is no state to carry, so
// a number does not depend on ranks, threads or on what was drawn before.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

#include "base/host_device.hpp"

namespace switchyard {

// What a number is for: two uses never share a stream.
enum class RandomUse : std::uint32_t {
  sampler = 1,
  initial_weights = 2,
  synthetic_data = 3,
  split = 4,
  test = 5,
  gate_noise = 6,
  augmentation = 7,
  dropout = 8,
  token_choice = 9,
  blur_augmentation = 10,
  turn_augmentation = 11,
};

struct Philox {
  std::uint32_t word[4];

  // The block at counter (a, b) of the stream (seed, use). a has 64 bits, b and use have 32.
  SY_HD static Philox at(std::uint64_t seed, RandomUse use, std::uint64_t a, std::uint32_t b = 0) {
    return block(static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32),
                 static_cast<std::uint32_t>(a), static_cast<std::uint32_t>(a >> 32), b,
                 static_cast<std::uint32_t>(use));
  }

  SY_HD static Philox block(std::uint32_t k0, std::uint32_t k1, std::uint32_t c0, std::uint32_t c1,
                            std::uint32_t c2, std::uint32_t c3) {
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0;
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c2;
      const std::uint32_t next0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
      const std::uint32_t next2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
      c1 = static_cast<std::uint32_t>(p1);
      c3 = static_cast<std::uint32_t>(p0);
      c0 = next0;
      c2 = next2;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    return Philox{{c0, c1, c2, c3}};
  }

  SY_HD std::uint64_t bits64(int half = 0) const {
    return (std::uint64_t{word[2 * half + 1]} << 32) | word[2 * half];
  }
  // Uniform in [0, 1), 24 bits: exact in float.
  SY_HD float uniform(int lane) const { return static_cast<float>(word[lane] >> 8) * 0x1.0p-24f; }
  // Uniform in [0, 1), 53 bits.
  SY_HD double uniform64(int half = 0) const { return static_cast<double>(bits64(half) >> 11) * 0x1.0p-53; }
};

// Box and Muller 1958: of u and v, uniform in [0, 1), radius * cos(angle) and radius * sin(angle) are two
// independent standard normal numbers.
struct BoxMuller {
  double radius;
  double angle;

  BoxMuller(double u, double v)
      : radius(std::sqrt(-2.0 * std::log(1.0 - u))), angle(2.0 * std::numbers::pi * v) {}
};

}  // namespace switchyard
