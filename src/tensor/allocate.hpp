// Matrices in the memory of a step.
#pragma once

#include "device/workspace.hpp"
#include "tensor/view.hpp"

namespace switchyard::tensor {

// [rows, cols], side by side; holds anything at first.
inline Matrix allocate_matrix(device::Workspace& workspace, index_t rows, index_t cols) {
  return {workspace.allocate<float>(rows * cols).data(), rows, cols};
}

}  // namespace switchyard::tensor
