// Where an array lies, for tables of arrays in the memory of a GPU.
#pragma once

#include <cstdint>
#include <limits>

#include "base/host_device.hpp"

namespace switchyard::ops {

// The distance of an array from a base, which is any address in the same memory. A table of distances holds no
// addresses: those of a launch are all among its arguments, where the simulated device looks at them.
template <class T>
class FromBase {
 public:
  FromBase() = default;
  // Null stays null.
  FromBase(const void* base, T* array)
      : bytes_(array == nullptr
                   ? none
                   : reinterpret_cast<std::intptr_t>(array) - reinterpret_cast<std::intptr_t>(base)) {}

  SY_HD bool is_null() const { return bytes_ == none; }
  // Not for one that is null.
  SY_HD T* at(const void* base) const {
    return reinterpret_cast<T*>(reinterpret_cast<std::intptr_t>(base) + bytes_);
  }

 private:
  static constexpr std::int64_t none = std::numeric_limits<std::int64_t>::min();
  std::int64_t bytes_ = none;
};

}  // namespace switchyard::ops
