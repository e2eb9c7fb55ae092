// The contract that most ops have.
#pragma once

#include "base/contract.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops::detail {

inline void expect_shape(const char* what, tensor::ConstMatrix m, index_t rows, index_t cols) {
  SY_EXPECTS(m.rows == rows && m.cols == cols, "{} is {} x {}, not {} x {}", what, m.rows, m.cols, rows, cols);
}

}  // namespace switchyard::ops::detail
