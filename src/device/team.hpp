// What a single-source kernel is written against.
//
// A row kernel is a functor
//   struct Kernel {
//     index_t scratch_bytes() const;                              // shared by the team; left out: none
//     template <class Team> SY_HD void operator()(const Team& team, index_t row) const;
//   };
// A team has
//   team.for_each(n, f)     f(i) for i in [0, n), spread over the team's threads; no order, but a thread gets
//                           the same i in every call: places indexed by i need no sync between two calls
//   team.sum(n, f)          sum of f(i) (float or double, as f returns), the same value on every thread
//   team.max(n, f)          maximum of f(i) (float), the same value on every thread; -infinity for n = 0
//   team.sync()             all threads reach this before one goes on; after writes to shared places
//   team.scratch<T>(bytes)  the team's shared scratch from an offset in bytes; it starts at a multiple of
//                           16 bytes and holds anything at first
//   team.once(f)            f() by one thread
//   Team::Kept<T, n>        what each i of for_each(n) keeps from one call to the next:
//                           kept.of(i), which has no value at first. In registers of a
//                           GPU, if a thread of a block has one i
// sum and max begin and end with a sync. All threads of a team reach every sum, max and sync. A functor is
// copied to the GPU byte by byte: it is trivially copyable and holds numbers, views and pointers to memory of
// the device.
//
// Sums and maxima always use 32 lanes: lane l takes f(l), f(l + 32), f(l + 64), ... in that order, then a
// butterfly over 16, 8, 4, 2, 1. It vectorises without fast-math and gives the same bits on every executor. A
// maximum of +0 and -0 is the one that lane 0 keeps; a NaN never is the maximum.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/host_device.hpp"
#include "base/ids.hpp"

namespace switchyard::device {

inline constexpr int lane_count = 32;

template <class Functor>
index_t scratch_bytes_of(const Functor& f) {
  if constexpr (requires { f.scratch_bytes(); }) {
    return f.scratch_bytes();
  } else {
    return 0;
  }
}

// Of a thread that has every `apart`-th of n places, from any of them on.
template <class T, int n, int apart>
class KeptBySome {
 public:
  // One place is known when it is compiled, and is no place in memory then.
  SY_HD T& of(index_t i) { return values_[n <= apart ? 0 : i / apart]; }

 private:
  static constexpr std::size_t most = (n + apart - 1) / apart;
  T values_[most];
};
template <class T, int n>
using KeptByOne = KeptBySome<T, n, 1>;  // who may have any of them

// Sum of the lanes: lane[l] += lane[l ^ offset] for offset 16, 8, 4, 2, 1. Every lane ends with the same bits,
// since a + b == b + a.
template <class T>
SY_HD inline T butterfly_sum(const T (&lane)[lane_count]) {
  T a[16], b[8], c[4];
  for (int i = 0; i < 16; ++i) a[i] = lane[i] + lane[i + 16];
  for (int i = 0; i < 8; ++i) b[i] = a[i] + a[i + 8];
  for (int i = 0; i < 4; ++i) c[i] = b[i] + b[i + 4];
  return (c[0] + c[2]) + (c[1] + c[3]);
}

// The larger; the first if they are equal or not ordered.
SY_HD inline float larger(float first, float second) { return second > first ? second : first; }

// Maximum of the lanes as lane 0 sees it: lane[l] = larger(lane[l], lane[l ^ offset]) for offset 16, 8, 4,
// 2, 1.
SY_HD inline float butterfly_max(const float (&lane)[lane_count]) {
  float a[16], b[8], c[4];
  for (int i = 0; i < 16; ++i) a[i] = larger(lane[i], lane[i + 16]);
  for (int i = 0; i < 8; ++i) b[i] = larger(a[i], a[i + 8]);
  for (int i = 0; i < 4; ++i) c[i] = larger(b[i], b[i + 4]);
  return larger(larger(c[0], c[2]), larger(c[1], c[3]));
}

// The lowest i in [0, n) with the largest f(i), the same on every thread of the team; n <= 2^24, so that a
// place is exact as float. NaN is passed over. 0 if nothing is above -infinity.
template <class Team, class F>
SY_HD index_t argmax(const Team& team, index_t n, const F& f) {
  const float nothing = -__builtin_inff();
  const float largest = team.max(n, f);
  if (!(largest > nothing)) return 0;
  return static_cast<index_t>(
      -team.max(n, [&](index_t i) { return f(i) == largest ? -static_cast<float>(i) : nothing; }));
}

// The production team of a CPU: one thread that owns the row. (SY_HD, since functors are.)
class SerialTeam {
 public:
  template <class T, int n>
  using Kept = KeptByOne<T, n>;

  SY_HD explicit SerialTeam(std::byte* scratch) : scratch_(scratch) {}

  template <class F>
  SY_HD void for_each(index_t n, const F& f) const {
#pragma GCC ivdep  // no order is promised, so no i may depend on another: the loop vectorises without checks
    for (index_t i = 0; i < n; ++i) f(i);
  }
  template <class F>
  SY_HD auto sum(index_t n, const F& f) const {
    using T = decltype(f(index_t{0}));
    if (n <= short_count) return short_sum<T>(n, f);
    T lane[lane_count] = {};
    index_t i = 0;
    for (; i + lane_count <= n; i += lane_count) {
      for (int l = 0; l < lane_count; ++l) lane[l] += f(i + l);
    }
    for (int l = 0; i + l < n; ++l) lane[l] += f(i + l);
    return butterfly_sum(lane);
  }
  template <class F>
  SY_HD float max(index_t n, const F& f) const {
    if (n <= short_count) return short_max(n, f);
    float lane[lane_count];
    for (float& value : lane) value = -__builtin_inff();
    index_t i = 0;
    for (; i + lane_count <= n; i += lane_count) {
      for (int l = 0; l < lane_count; ++l) lane[l] = larger(lane[l], f(i + l));
    }
    for (int l = 0; i + l < n; ++l) lane[l] = larger(lane[l], f(i + l));
    return butterfly_max(lane);
  }
  SY_HD void sync() const {}
  template <class T>
  SY_HD T* scratch(index_t offset_bytes = 0) const {
    return reinterpret_cast<T*>(scratch_ + offset_bytes);
  }
  template <class F>
  SY_HD void once(const F& f) const {
    f();
  }

 private:
  // A row that fills so few lanes gives the same bits without the others: they hold zero or -infinity.
  static constexpr int short_count = 8;

  template <class T, class F>
  SY_HD static T short_sum(index_t n, const F& f) {
    T lane[short_count] = {};
    if (n == short_count) {  // a loop of known length vectorises
      for (index_t i = 0; i < short_count; ++i) lane[i] += f(i);
    } else {
      for (index_t i = 0; i < n; ++i) lane[i] += f(i);
    }
    T c[4];
    for (int i = 0; i < 4; ++i) c[i] = lane[i] + lane[i + 4];
    return (c[0] + c[2]) + (c[1] + c[3]);
  }
  template <class F>
  SY_HD static float short_max(index_t n, const F& f) {
    float lane[short_count];
    for (float& value : lane) value = -__builtin_inff();
    if (n == short_count) {
      for (index_t i = 0; i < short_count; ++i) lane[i] = larger(lane[i], f(i));
    } else {
      for (index_t i = 0; i < n; ++i) lane[i] = larger(lane[i], f(i));
    }
    float c[4];
    for (int i = 0; i < 4; ++i) c[i] = larger(lane[i], lane[i + 4]);
    return larger(larger(c[0], c[2]), larger(c[1], c[3]));
  }

  std::byte* scratch_;
};

// One thread needs no second way through the values: it keeps the places as it goes, in lanes of its own.
template <class F>
SY_HD index_t argmax(const SerialTeam& /*team*/, index_t n, const F& f) {
  constexpr int lanes = 16;
  float largest[lanes];
  std::int32_t place[lanes];
  for (int l = 0; l < lanes; ++l) {
    largest[l] = -__builtin_inff();
    place[l] = 0;
  }
  index_t i = 0;
  const auto take = [&](int l) {
    const float value = f(i + l);
    const bool better = value > largest[l];
    place[l] = better ? static_cast<std::int32_t>(i + l) : place[l];
    largest[l] = better ? value : largest[l];
  };
  for (; i + lanes <= n; i += lanes) {
    SY_LEFT_ROLLED
    for (int l = 0; l < lanes; ++l) take(l);
  }
  for (int l = 0; i + l < n; ++l) take(l);
  float most[lanes];
  for (int l = 0; l < lanes; ++l) most[l] = largest[l];
  for (int half = lanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) most[l] = larger(most[l], most[l + half]);
  }
  // A lane that took nothing has place 0 and -infinity, which is the answer only if all have.
  SY_LEFT_ROLLED
  for (int l = 0; l < lanes; ++l) place[l] = largest[l] == most[0] ? place[l] : INT32_MAX;
  for (int half = lanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) place[l] = place[l + half] < place[l] ? place[l + half] : place[l];
  }
  return place[0];
}

}  // namespace switchyard::device
