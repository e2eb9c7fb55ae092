// The shape of one sample as a row of floats: channel, then height, then width.
#pragma once

#include "base/ids.hpp"

namespace switchyard::tensor {

struct SampleShape {
  index_t channels = 1;
  index_t height = 1;  // also: patches
  index_t width = 1;   // also: numbers in a patch

  constexpr index_t features() const { return channels * height * width; }
  constexpr bool operator==(const SampleShape&) const = default;
};

}  // namespace switchyard::tensor
