#include "data/permutation.hpp"

#include <cmath>

#include "base/contract.hpp"

namespace switchyard::data {
namespace {

constexpr std::uint32_t round_count = 8;
constexpr index_t largest_size = index_t{1} << 62;

std::uint64_t ceil_sqrt(std::uint64_t n) {
  auto root = static_cast<std::uint64_t>(std::sqrt(static_cast<double>(n)));
  // The double's rounding may be off by one either way.
  while (root * root < n) ++root;
  while (root > 0 && (root - 1) * (root - 1) >= n) --root;
  return root;
}

}  // namespace

Permutation::Permutation(index_t size, std::uint64_t seed, RandomUse use)
    : size_(size), seed_(seed), use_(use) {
  SY_EXPECTS(size >= 0 && size <= largest_size, "a permutation of {} elements", size);
  const auto n = static_cast<std::uint64_t>(size > 0 ? size : 1);
  left_size_ = ceil_sqrt(n);
  right_size_ = (n + left_size_ - 1) / left_size_;
}

index_t Permutation::at(index_t variant, index_t position) const {
  SY_EXPECTS(position >= 0 && position < size_, "position {} of a permutation of {} elements", position, size_);
  SY_EXPECTS(variant >= 0 && variant < (index_t{1} << 32), "variant {} of a permutation", variant);
  const auto key = static_cast<std::uint32_t>(variant);
  auto value = static_cast<std::uint64_t>(position);
  do {
    std::uint64_t left = value / right_size_;
    std::uint64_t right = value % right_size_;
    for (std::uint32_t round = 0; round < round_count; round += 2) {
      left = (left + round_value(key, round, right)) % left_size_;
      right = (right + round_value(key, round + 1, left)) % right_size_;
    }
    value = left * right_size_ + right;
  } while (value >= static_cast<std::uint64_t>(size_));
  return static_cast<index_t>(value);
}

// 63 bits, so that adding a half to it cannot overflow. `half` is below 2^32, since size is at most 2^62.
std::uint64_t Permutation::round_value(std::uint32_t variant, std::uint32_t round, std::uint64_t half) const {
  return Philox::at(seed_, use_, (std::uint64_t{variant} << 32) | half, round).bits64() >> 1;
}

}  // namespace switchyard::data
