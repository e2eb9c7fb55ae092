// A square block of a matrix product by the threads of a team, against Team (device/team.hpp): what all
// products of ours are made of.
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "base/ids.hpp"
#include "ops/convert.hpp"
#include "ops/kernels/math.hpp"

namespace switchyard::ops::kernels {

// What the terms of a sum are added up in, and how: one rounding a term, or none.
template <class Number>
struct ProductSum {
  using Type = float;
};
template <>
struct ProductSum<std::int8_t> {
  using Type = std::int32_t;
};
SY_HD inline float widened(float value) { return value; }
SY_HD inline float widened(bfloat16 value) { return to_float(value); }
SY_HD inline std::int32_t widened(std::int8_t value) { return value; }
SY_HD inline float add_product(float a, float b, float sum) { return fused_multiply_add(a, b, sum); }
SY_HD inline std::int32_t add_product(std::int32_t a, std::int32_t b, std::int32_t sum) { return sum + a * b; }

// A NaN stays one.
SY_HD inline float relu_of(float x) { return x <= 0.0F ? 0.0F : x; }

// One side of a product: numbers (place, term), of places that are rows of A or columns of B.
template <class Number>
struct Operand {
  const Number* first;
  index_t place_apart, term_apart;  // distances of neighbours

  SY_HD bool terms_are_neighbours() const { return term_apart == 1; }
  SY_HD auto at(index_t place, index_t term) const {
    return widened(first[place * place_apart + term * term_apart]);
  }
};

// Neighbours that are read and written at once.
template <class T>
struct alignas(4 * sizeof(T)) Four {
  T value[4];
};

// The first `count` of four values to neighbouring places.
SY_HD inline void write_neighbours(float* to, const Four<float>& values, index_t count) {
  if (count >= 4 && reinterpret_cast<std::uintptr_t>(to) % sizeof(Four<float>) == 0) {
    *reinterpret_cast<Four<float>*>(to) = values;
    return;
  }
  for (int q = 0; q < 4; ++q) {
    if (q < count) to[q] = values.value[q];
  }
}

// sum[r, c] = the sum over the terms i, ascending, of A(r, i) B(c, i), for r, c < 64. The team takes 16 terms
// at a time of both into its scratch, from where each of 256 threads reads four numbers of either for 4 x 4
// sums, which it keeps. On a GPU neither its reads nor its writes of scratch meet in a bank.
template <class Sum>
struct BlockProduct {
  static constexpr index_t side = 64;
  static constexpr index_t threads = 256;

  static constexpr index_t scratch_bytes() { return 2 * depth * row_fours * index_t{sizeof(Four<Sum>)}; }

  // write(r, c, sums, count) with the first `count` of four sums from (r, c) on, for r < rows and c < columns.
  // A(place, term) and B are as Operand. Ends without a sync.
  template <class Team, class A, class B, class Write>
  SY_HD static void compute(const Team& team, const A& a, index_t rows, const B& b, index_t columns,
                            index_t terms, const Write& write) {
    auto* const of_a = team.template scratch<Four<Sum>>();
    Four<Sum>* const of_b = of_a + depth * row_fours;
    typename Team::template Kept<Own, threads> kept;
    team.for_each(threads, [&](index_t thread) { kept.of(thread) = {}; });
    for (index_t first = 0; first < terms; first += depth) {
      const index_t count = terms - first < depth ? terms - first : depth;
      take(team, a, rows, first, count, of_a);
      take(team, b, columns, first, count, of_b);
      team.sync();
      team.for_each(threads, [&](index_t thread) {
        const index_t row = thread / row_threads, column = thread % row_threads;
        if (row * own < rows && column * own < columns) add(of_a + row, of_b + column, count, kept.of(thread));
      });
      team.sync();
    }
    team.for_each(threads, [&](index_t thread) {
      const index_t row = thread / row_threads * own, column = thread % row_threads * own;
      const Own& sums = kept.of(thread);
      for (int r = 0; r < own; ++r) {
        if (row + r < rows && column < columns) write(row + r, column, sums.row[r], columns - column);
      }
    });
  }

 private:
  static constexpr int own = 4;
  static constexpr index_t depth = 16;
  static constexpr index_t row_threads = side / own;
  // 64 numbers of a term, and four that nobody reads: terms are 4 of the 32 banks apart.
  static constexpr index_t row_fours = side / own + 1;

  struct Own {
    Four<Sum> row[own];
  };

  // Terms [first, first + count) of all places. Neighbouring threads read neighbours, and 32 of them write to
  // as many banks: 32 places of a term, or 4 places of 8 terms.
  template <class Team, class From>
  SY_HD static void take(const Team& team, const From& from, index_t places, index_t first, index_t count,
                         Four<Sum>* to) {
    const bool by_terms = from.terms_are_neighbours();
    team.for_each(side * depth, [=](index_t item) {
      constexpr auto all = static_cast<std::uint32_t>(side);
      const auto i = static_cast<std::uint32_t>(item);
      const std::uint32_t place = by_terms ? i / 8 % all : i % all;
      const std::uint32_t term = by_terms ? i % 8 + i / (8 * all) * 8 : i / all;
      const bool is_there = place < places && term < count;
      to[term * row_fours + place / own].value[place % own] = is_there ? from.at(place, first + term) : Sum{};
    });
  }

  SY_HD static void add(const Four<Sum>* a, const Four<Sum>* b, index_t count, Own& sums) {
    if (count == depth) {
      for (index_t i = 0; i < depth; ++i) add_term(a[i * row_fours], b[i * row_fours], sums);
    } else {
      for (index_t i = 0; i < count; ++i) add_term(a[i * row_fours], b[i * row_fours], sums);
    }
  }
  SY_HD static void add_term(const Four<Sum>& at_a, const Four<Sum>& at_b, Own& sums) {
    const Four<Sum> a = at_a, b = at_b;
    for (int r = 0; r < own; ++r) {
      for (int q = 0; q < own; ++q)
        sums.row[r].value[q] = add_product(a.value[r], b.value[q], sums.row[r].value[q]);
    }
  }
};

}  // namespace switchyard::ops::kernels
