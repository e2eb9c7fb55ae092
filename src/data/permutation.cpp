#include "data/permutation.hpp"

#include <algorithm>
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
  left_ = Modulus(ceil_sqrt(n));
  right_ = Modulus((n + left_.size - 1) / left_.size);
}

// The quotient by the reciprocal is the true one or one less, since value < 2^64.
std::uint64_t Permutation::Modulus::remainder(std::uint64_t value) const {
  __extension__ using Wide = unsigned __int128;
  const auto quotient = static_cast<std::uint64_t>((static_cast<Wide>(value) * reciprocal) >> 64U);
  const std::uint64_t rest = value - quotient * size;
  return rest < size ? rest : rest - size;
}

index_t Permutation::at(index_t variant, index_t position) const {
  SY_EXPECTS(position >= 0 && position < size_, "position {} of a permutation of {} elements", position, size_);
  SY_EXPECTS(variant >= 0 && variant < (index_t{1} << 32), "variant {} of a permutation", variant);
  const auto key = static_cast<std::uint32_t>(variant);
  auto value = static_cast<std::uint64_t>(position);
  do {
    std::uint64_t left = value / right_.size;
    std::uint64_t right = value % right_.size;
    for (std::uint32_t round = 0; round < round_count; round += 2) {
      left = left_.remainder(left + round_value(key, round, right));
      right = right_.remainder(right + round_value(key, round + 1, left));
    }
    value = left * right_.size + right;
  } while (value >= static_cast<std::uint64_t>(size_));
  return static_cast<index_t>(value);
}

void Permutation::fill(index_t variant, index_t first, Span<index_t> elements) const {
  constexpr index_t lanes = 8;  // independent of each other: the processor works on all of them
  const index_t count = std::ssize(elements);
  SY_EXPECTS(first >= 0 && first + count <= size_, "positions {} to {} of a permutation of {} elements", first,
             first + count, size_);
  SY_EXPECTS(variant >= 0 && variant < (index_t{1} << 32), "variant {} of a permutation", variant);
  const auto key = static_cast<std::uint32_t>(variant);
  const auto size = static_cast<std::uint64_t>(size_);
  for (index_t begin = 0; begin < count; begin += lanes) {
    const index_t used = std::min(lanes, count - begin);
    std::uint64_t value[as_size(lanes)], left[as_size(lanes)], right[as_size(lanes)], added[as_size(lanes)];
    for (index_t l = 0; l < lanes; ++l)
      value[l] = static_cast<std::uint64_t>(first + begin + (l < used ? l : 0));
    for (bool walks = false, again = true; again; walks = true) {
      for (index_t l = 0; l < lanes; ++l) {
        left[l] = value[l] / right_.size;
        right[l] = value[l] % right_.size;
      }
      for (std::uint32_t round = 0; round < round_count; round += 2) {
        for (index_t l = 0; l < lanes; ++l) added[l] = round_value(key, round, right[l]);
        for (index_t l = 0; l < lanes; ++l) left[l] = left_.remainder(left[l] + added[l]);
        for (index_t l = 0; l < lanes; ++l) added[l] = round_value(key, round + 1, left[l]);
        for (index_t l = 0; l < lanes; ++l) right[l] = right_.remainder(right[l] + added[l]);
      }
      again = false;
      for (index_t l = 0; l < lanes; ++l) {
        if (!walks || value[l] >= size) value[l] = left[l] * right_.size + right[l];
        again = again || value[l] >= size;
      }
    }
    for (index_t l = 0; l < used; ++l) elements[begin + l] = static_cast<index_t>(value[l]);
  }
}

// 63 bits, so that adding a half to it cannot overflow. `half` is below 2^32, since size is at most 2^62.
std::uint64_t Permutation::round_value(std::uint32_t variant, std::uint32_t round, std::uint64_t half) const {
  return Philox::at(seed_, use_, (std::uint64_t{variant} << 32) | half, round).bits64() >> 1;
}

}  // namespace switchyard::data
