// A random order of n things that is computed place by place and stored nowhere.
#pragma once

#include <cstdint>

#include "base/ids.hpp"
#include "base/philox.hpp"
#include "base/span.hpp"

namespace switchyard::data {

// A family of permutations of [0, size), one per `variant` (an epoch, say), as a pure function of (seed, use,
// variant, position): O(1) memory, any place in any order, the same on every rank and thread.
//
// A generalised Feistel network (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002, section 5):
// a number below a * b is a pair (left, right); each round adds a pseudo-random function of one half to the
// other, modulo a or b. a = ceil(sqrt(size)) and b = ceil(size / a), so fewer than a numbers lie at or beyond
// `size`; for those the network is applied again until the result lies below (cycle walking), which keeps it a
// bijection. The round function is a Philox block. Four rounds suffice in theory for large domains (Luby and
// Rackoff, 1988), but not for small ones: with up to 6 the orders of 3 or 4 elements, or pairs of neighbours
// among 7 to 30, are visibly uneven (tests/unit/data/permutation_test.cpp); with 8 they are not. (Where size =
// a * a an additive network yields even permutations only, which no use here can tell.)
//
// The order in which an epoch visits the training samples, each once, is one of RandomUse::sampler: a resumed
// run, or a run on other ranks, continues it from a position alone, and there is nothing to save.
//
// Immutable, hence safe to share among threads.
class Permutation {
 public:
  // size in [0, 2^62].
  Permutation(index_t size, std::uint64_t seed, RandomUse use);

  index_t size() const { return size_; }

  // The element at `position` of permutation `variant`; about 0.2 us. Contract: 0 <= position < size,
  // 0 <= variant < 2^32.
  index_t at(index_t variant, index_t position) const;
  // elements[i] = at(variant, first + i), several at once, in less than half the time. The contract is that of
  // at().
  void fill(index_t variant, index_t first, Span<index_t> elements) const;

 private:
  // value mod size by a product with 1 / size: a division takes several times as long.
  struct Modulus {
    std::uint64_t size = 1;
    std::uint64_t reciprocal = 0;  // floor((2^64 - 1) / size)

    Modulus() = default;
    explicit Modulus(std::uint64_t of) : size(of), reciprocal(~std::uint64_t{0} / of) {}
    std::uint64_t remainder(std::uint64_t value) const;
  };

  std::uint64_t round_value(std::uint32_t variant, std::uint32_t round, std::uint64_t half) const;

  index_t size_;
  Modulus left_;   // a
  Modulus right_;  // b
  std::uint64_t seed_;
  RandomUse use_;
};

}  // namespace switchyard::data
