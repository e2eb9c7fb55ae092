// cublasLt, opened when the first product on a GPU needs it: the program starts on machines without it.
#pragma once

#include <cublasLt.h>

#include <string>
#include <string_view>

#include "base/shared_library.hpp"

namespace switchyard::ops::cuda {

// Its functions; the header that declares them says what they take.
struct CublasLibrary {
  SharedLibrary file;
  std::string why_none;  // empty: it is open, and no function is null

  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtDestroy) destroy = nullptr;
  decltype(&cublasLtGetVersion) get_version = nullptr;
  decltype(&cublasLtGetStatusString) get_status_string = nullptr;
  decltype(&cublasLtMatmul) matmul = nullptr;
  decltype(&cublasLtMatmulDescCreate) desc_create = nullptr;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) layout_create = nullptr;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy = nullptr;
  decltype(&cublasLtMatrixLayoutSetAttribute) layout_set = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create = nullptr;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) get_heuristic = nullptr;
  decltype(&cublasLtMatmulAlgoCheck) algo_check = nullptr;
  decltype(&cublasLtMatmulAlgoConfigGetAttribute) algo_config = nullptr;

  // "13.1.0"
  std::string version() const;
};

// Of this process, opened by the first call; threads may call it at the same time. Never throws for want of the
// library.
const CublasLibrary& find_cublas();
// The same; BlasError with what was tried if there is none.
const CublasLibrary& cublas();

// BlasError unless the status is success: "CALL failed for SUBJECT (why); what to try".
void check_cublas(cublasStatus_t status, std::string_view call, std::string_view subject);
// For destructors: logs instead, and nothing while an exception unwinds, which has said what failed.
void log_cublas_failure(cublasStatus_t status, std::string_view call) noexcept;

}  // namespace switchyard::ops::cuda
