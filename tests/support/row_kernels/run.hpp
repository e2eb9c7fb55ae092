// The kernels of row_kernels.hpp as plain functions, on the device of a context. All pointers are memory of
// that device.
#pragma once

#include "device/context.hpp"
#include "tensor/view.hpp"

namespace switchyard::device::test {

void square_plus_index(Context& context, index_t count, const float* x, float* out);
void sums_through_scratch(Context& context, tensor::ConstMatrix in, float* sums, double* double_sums,
                          float* maxima);
// With `scratch_bytes` bytes of scratch a row, which it does not use.
void row_maxima(Context& context, tensor::ConstMatrix in, float* maxima, index_t scratch_bytes);
void normalise_and_reverse(Context& context, tensor::Matrix x, index_t scratch_bytes);

}  // namespace switchyard::device::test
