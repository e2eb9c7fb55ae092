#include "ops/cuda/cublas_library.hpp"

#include <fmt/format.h>

#include <exception>

#include "base/error.hpp"
#include "base/log.hpp"
#include "device/cuda/check.hpp"

namespace switchyard::ops::cuda {
namespace {

constexpr const char* soname = "libcublasLt.so.13";  // of the headers that this is compiled with

template <class Function>
void bind(CublasLibrary& library, Function& function, const char* name) {
  function = library.file.function<Function>(name);
  if (function == nullptr && library.why_none.empty())
    library.why_none = fmt::format("{} has no function {}", library.file.path(), name);
}

CublasLibrary open() {
  CublasLibrary l;
  l.file = SharedLibrary({"SWITCHYARD_CUDA_LIBRARIES", soname, "/usr/local/cuda/lib64"});
  if (!l.file) {
    l.why_none = l.file.why_none();
    return l;
  }
  bind(l, l.create, "cublasLtCreate");
  bind(l, l.destroy, "cublasLtDestroy");
  bind(l, l.get_version, "cublasLtGetVersion");
  bind(l, l.get_status_string, "cublasLtGetStatusString");
  bind(l, l.matmul, "cublasLtMatmul");
  bind(l, l.desc_create, "cublasLtMatmulDescCreate");
  bind(l, l.desc_destroy, "cublasLtMatmulDescDestroy");
  bind(l, l.desc_set, "cublasLtMatmulDescSetAttribute");
  bind(l, l.layout_create, "cublasLtMatrixLayoutCreate");
  bind(l, l.layout_destroy, "cublasLtMatrixLayoutDestroy");
  bind(l, l.layout_set, "cublasLtMatrixLayoutSetAttribute");
  bind(l, l.preference_create, "cublasLtMatmulPreferenceCreate");
  bind(l, l.preference_destroy, "cublasLtMatmulPreferenceDestroy");
  bind(l, l.preference_set, "cublasLtMatmulPreferenceSetAttribute");
  bind(l, l.get_heuristic, "cublasLtMatmulAlgoGetHeuristic");
  bind(l, l.algo_check, "cublasLtMatmulAlgoCheck");
  bind(l, l.algo_config, "cublasLtMatmulAlgoConfigGetAttribute");
  return l;
}

}  // namespace

std::string CublasLibrary::version() const {
  const std::size_t v = get_version();  // 130100 is 13.1.0
  return fmt::format("{}.{}.{}", v / 10000, v / 100 % 100, v % 100);
}

const CublasLibrary& find_cublas() {
  static const CublasLibrary library = open();
  return library;
}

const CublasLibrary& cublas() {
  const CublasLibrary& library = find_cublas();
  if (library.why_none.empty()) return library;
  throw BlasError(
      fmt::format("cannot multiply matrices on a GPU (no {}: {}); name the folder that holds it in "
                  "SWITCHYARD_CUDA_LIBRARIES, or set run.device = cpu",
                  soname, library.why_none));
}

void check_cublas(cublasStatus_t status, std::string_view call, std::string_view subject) {
  if (status == CUBLAS_STATUS_SUCCESS) [[likely]]
    return;
  throw BlasError(fmt::format(
      "{} failed for {} (status {}, {}{}); `switchyard doctor` shows the library that was taken, "
      "CUBLASLT_LOG_LEVEL=2 makes it say more, and run.device = cpu does without it",
      call, subject, static_cast<int>(status), cublas().get_status_string(status), device::cuda::also_met()));
}

void log_cublas_failure(cublasStatus_t status, std::string_view call) noexcept {
  if (status == CUBLAS_STATUS_SUCCESS || std::uncaught_exceptions() > 0) return;
  try {
    log::error("{} failed (status {}, {})", call, static_cast<int>(status),
               find_cublas().get_status_string(status));
  } catch (const std::exception&) {  // no memory for the line: nothing to add to that
  }
}

}  // namespace switchyard::ops::cuda
