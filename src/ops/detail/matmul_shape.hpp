// What all products share: what a shape must hold to, and how errors name it.
#pragma once

#include <string>
#include <string_view>

#include "ops/matmul.hpp"

namespace switchyard::ops::detail {

// ContractViolation unless the sizes and the bias fit together.
void check_shape(const MatmulShape& shape, const float* bias);

// "the float32 product 64 x 10 x 32 (m, n, k; A plain, lda 32; ...)"
std::string describe(const MatmulShape& shape, std::string_view numbers);

}  // namespace switchyard::ops::detail
