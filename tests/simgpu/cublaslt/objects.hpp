// What lies behind the handles of the simulated cublasLt.
#pragma once

#include <cublasLt.h>

#include <array>
#include <cstdint>
#include <string>

namespace simgpu::cublaslt {

// Says why on standard error, for the library's statuses say little. Returns `status`.
cublasStatus_t refuse(const std::string& why, cublasStatus_t status = CUBLAS_STATUS_INVALID_VALUE);

struct Operation {
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  cudaDataType_t scale = CUDA_R_32F;
  std::int32_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
  std::int32_t bias_type = -1;  // that of the result
};

struct Layout {
  cudaDataType_t type = CUDA_R_32F;
  std::uint64_t rows = 0, columns = 0;
  std::int64_t apart = 0;
  std::int32_t batch = 1;
  std::int64_t stride = 0;
};

struct Preference {
  std::uint64_t workspace_bytes = 0;
  std::uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_MASK;
  std::array<std::uint32_t, 4> alignment = {256, 256, 256, 256};  // of A, B, C, D
};

// Null if the handle was never made or is destroyed.
const Operation* find(cublasLtMatmulDesc_t handle);
const Layout* find(cublasLtMatrixLayout_t handle);
const Preference* find(cublasLtMatmulPreference_t handle);
bool is_open(cublasLtHandle_t handle);

std::uint64_t bytes_of(cudaDataType_t type);

}  // namespace simgpu::cublaslt
