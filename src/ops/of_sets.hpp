// Arrays of a bank, once for each of its sets of weights.
#pragma once

#include <type_traits>

#include "base/host_device.hpp"
#include "base/ids.hpp"

namespace switchyard::ops {

// That of set 0, and the others each `stride` behind the one before. Null: there is none of any set.
template <class T>
struct OfSets {
  T* first = nullptr;
  index_t stride = 0;

  constexpr OfSets() = default;
  constexpr OfSets(T* first_in, index_t stride_in = 0) : first(first_in), stride(stride_in) {}
  // What may be written may be read.
  template <class U>
  requires std::is_same_v<T, const U>
  constexpr OfSets(const OfSets<U>& other) : first(other.first), stride(other.stride) {}

  SY_HD constexpr T* of(index_t set) const { return first == nullptr ? nullptr : first + set * stride; }
};

}  // namespace switchyard::ops
