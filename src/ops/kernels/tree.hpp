// Sums in the order of the fixed binary tree of ops/reduce.hpp, without recursion, which device code has no
// room for.
#pragma once

#include "base/host_device.hpp"
#include "base/ids.hpp"

namespace switchyard::ops::kernels {

// The tree over n values is walked from leaf to leaf; a stack holds the sums of the nodes that are complete and
// whose parents are not.
struct TreeLeaf {
  index_t completed;  // nodes above the leaf that end with it: so many sums of two are due behind it
  bool opens_pair;    // its parent is it and the next leaf

  SY_HD TreeLeaf(index_t leaf, index_t n) : completed(0), opens_pair(false) {
    index_t begin = 0;
    index_t end = n;
    while (end - begin > 1) {
      completed += end == leaf + 1 ? 1 : 0;
      opens_pair = end - begin == 2 && leaf == begin;
      const index_t middle = begin + (end - begin) / 2;
      (leaf < middle ? end : begin) = middle;
    }
  }
};

// How many sums the stack holds at most: no path from the root to a leaf has more nodes.
SY_HD inline index_t tree_levels(index_t n) {
  index_t levels = 1;
  for (index_t size = n; size > 1; size -= size / 2) ++levels;
  return levels;
}

// As many values as tree_sum adds: a GPU keeps a sum for each level on the stack of a thread.
inline constexpr int most_tree_levels = 24;
inline constexpr index_t most_tree_values = index_t{1} << (most_tree_levels - 1);

// f(0) + ... + f(n - 1) in that order, for n up to most_tree_values; 0 for n = 0.
template <class F>
SY_HD auto tree_sum(index_t n, const F& f) {
  using T = decltype(f(index_t{0}));
  T stack[most_tree_levels] = {};
  index_t top = 0;
  for (index_t leaf = 0; leaf < n; ++leaf) {
    T sum = f(leaf);
    for (index_t left = TreeLeaf(leaf, n).completed; left > 0; --left) sum = stack[--top] + sum;
    stack[top++] = sum;
  }
  return stack[0];
}

}  // namespace switchyard::ops::kernels
