// Dropout (Srivastava et al. 2014), without a mask that is kept.
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "device/context.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

struct Dropout {
  float probability = 0;   // that a number is dropped, below 1
  std::uint64_t seed = 0;  // of the place in a model
};

// y[r, c] = x[r, c] / (1 - probability), or 0: a function of (seed, step, ids[r], c). Its own gradient: of d_y.
// May be in place. Rows have up to 2^26 columns, ids are below 2^40.
void dropout(device::Context&, const Dropout& dropout, std::uint32_t step, Span<const index_t> ids,
             tensor::ConstMatrix x, tensor::Matrix y);

}  // namespace switchyard::ops
