// The fixed tree of sums, without recursion.
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "base/ids.hpp"

namespace switchyard::ops::kernels {

// As many values as tree_sum adds: a GPU keeps a sum for each level of the tree on the stack of a thread.
inline constexpr int most_tree_levels = 24;
inline constexpr index_t most_tree_values = index_t{1} << most_tree_levels;

// Sum of f(i) for i in [0, n), n <= most_tree_values, in the order of ops::sum_tree:
// sum(0..n) = sum(0..n/2) + sum(n/2..n), with the same bits. 0 if n is 0.
template <class F>
SY_HD auto tree_sum(index_t n, const F& f) {
  using T = decltype(f(index_t{0}));
  if (n <= 0) return T{0};
  T left[most_tree_levels];    // by level: the sum of the left side, while the right one is being added
  std::uint32_t is_right = 0;  // bit l: whether the right side of level l is being added
  index_t begin = 0, end = n;
  for (int level = 0;;) {
    for (; end - begin > 1; ++level) {
      end = begin + (end - begin) / 2;
      is_right &= ~(std::uint32_t{1} << level);
    }
    T sum = f(begin);
    for (; level > 0 && (is_right >> (level - 1) & 1) != 0; --level) sum = left[level - 1] + sum;
    if (level == 0) return sum;
    left[level - 1] = sum;
    is_right |= std::uint32_t{1} << (level - 1);
    // Down from the root to the side whose turn it is: where it ends is kept nowhere.
    begin = 0;
    end = n;
    for (int l = 0; l < level; ++l) {
      const index_t middle = begin + (end - begin) / 2;
      ((is_right >> l & 1) != 0 ? begin : end) = middle;
    }
  }
}

}  // namespace switchyard::ops::kernels
