// The sum of ops/kernels/tree.hpp by a team, for more values than one thread should walk along.
#pragma once

#include "base/host_device.hpp"
#include "base/ids.hpp"

namespace switchyard::ops::kernels {

// n / 2 and n - n / 2 differ by one at most, and so do the nodes of any level: on that with the largest power
// of two of nodes that n fills, each has one value or two. From there on the tree is a perfect one.
SY_HD inline index_t last_full_level(index_t n) {
  index_t nodes = 1;
  while (2 * nodes <= n) nodes *= 2;
  return nodes;
}

// The first value of node `node` of a level of so many nodes.
SY_HD inline index_t first_of_node(index_t node, index_t nodes, index_t n) {
  index_t begin = 0;
  index_t end = n;
  for (index_t half = nodes / 2; half > 0; half /= 2) {
    const index_t middle = begin + (end - begin) / 2;
    ((node & half) == 0 ? end : begin) = middle;
  }
  return begin;
}

// f(0) + ... + f(n - 1) in that order, the same on every thread; 0 for n = 0. `nodes`: room for n numbers, the
// team's own. Begins and ends with a sync.
template <class Team, class F>
SY_HD double team_tree_sum(const Team& team, index_t n, double* nodes, const F& f) {
  team.sync();
  if (n == 0) return 0.0;
  const index_t count = last_full_level(n);
  team.for_each(count, [&](index_t node) {
    const index_t begin = first_of_node(node, count, n);
    const index_t end = node + 1 == count ? n : first_of_node(node + 1, count, n);
    nodes[node] = end - begin == 1 ? f(begin) : f(begin) + f(begin + 1);
  });
  for (index_t step = 1; step < count; step *= 2) {
    team.sync();
    team.for_each(count / (2 * step), [&](index_t pair) {
      const index_t left = pair * 2 * step;
      nodes[left] += nodes[left + step];
    });
  }
  team.sync();
  const double sum = nodes[0];
  team.sync();
  return sum;
}

}  // namespace switchyard::ops::kernels
