#include "objects.hpp"

#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

#include "simgpu/device.hpp"

namespace simgpu::cublaslt {
namespace {

// Handles of one kind. A handle is the address of its object, which keeps its place in the table.
template <class Handle, class Object>
class Table {
 public:
  Handle add(const Object& object) {
    const std::lock_guard lock(mutex_);
    auto owned = std::make_unique<Object>(object);
    const auto handle = reinterpret_cast<Handle>(owned.get());
    objects_.emplace(handle, std::move(owned));
    return handle;
  }
  Object* find(Handle handle) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(handle);
    return found == objects_.end() ? nullptr : found->second.get();
  }
  bool remove(Handle handle) {
    const std::lock_guard lock(mutex_);
    return objects_.erase(handle) == 1;
  }

 private:
  std::mutex mutex_;
  std::map<Handle, std::unique_ptr<Object>> objects_;
};

struct Opened {};
template <class Handle, class Object>
Table<Handle, Object>& table() {
  static auto* const all = new Table<Handle, Object>;  // outlives every owner of a handle
  return *all;
}
auto& handles() { return table<cublasLtHandle_t, Opened>(); }
auto& operations() { return table<cublasLtMatmulDesc_t, Operation>(); }
auto& layouts() { return table<cublasLtMatrixLayout_t, Layout>(); }
auto& preferences() { return table<cublasLtMatmulPreference_t, Preference>(); }

template <class Value>
cublasStatus_t take(Value& to, const void* from, std::size_t bytes) {
  if (from == nullptr || bytes != sizeof to) return refuse("an attribute has another size");
  std::memcpy(&to, from, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

// Whether the call goes on, else the status to return.
bool fails(const char* call, cublasStatus_t& status) {
  const std::optional<int> code = enter(call, CUBLAS_STATUS_INTERNAL_ERROR);
  if (code) status = static_cast<cublasStatus_t>(*code);
  return code.has_value();
}

}  // namespace

cublasStatus_t refuse(const std::string& why, cublasStatus_t status) {
  std::fprintf(stderr, "simulated cublasLt: %s\n", why.c_str());
  return status;
}

const Operation* find(cublasLtMatmulDesc_t handle) { return operations().find(handle); }
const Layout* find(cublasLtMatrixLayout_t handle) { return layouts().find(handle); }
const Preference* find(cublasLtMatmulPreference_t handle) { return preferences().find(handle); }
bool is_open(cublasLtHandle_t handle) { return handles().find(handle) != nullptr; }

std::uint64_t bytes_of(cudaDataType_t type) {
  if (type == CUDA_R_8I) return 1;
  return type == CUDA_R_16BF ? 2 : 4;
}

}  // namespace simgpu::cublaslt

using namespace simgpu::cublaslt;

cublasStatus_t cublasLtCreate(cublasLtHandle_t* lightHandle) {
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  if (fails("cublasLtCreate", status)) return status;
  *lightHandle = handles().add({});
  return status;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t lightHandle) {
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  (void)fails("cublasLtDestroy", status);  // it is gone all the same
  if (!handles().remove(lightHandle)) return refuse("a library handle is destroyed twice");
  return status;
}

const char* cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_ARCH_MISMATCH:
      return "CUBLAS_STATUS_ARCH_MISMATCH";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
  }
  return "an unknown status";
}

size_t cublasLtGetVersion() { return 130000; }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* matmulDesc, cublasComputeType_t computeType,
                                        cudaDataType_t scaleType) {
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  if (fails("cublasLtMatmulDescCreate", status)) return status;
  const bool whole = computeType == CUBLAS_COMPUTE_32I;
  if (scaleType != (whole ? CUDA_R_32I : CUDA_R_32F))
    return refuse("the factors have not the type of the sums");
  *matmulDesc = operations().add({.compute = computeType, .scale = scaleType});
  return status;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t matmulDesc) {
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  (void)fails("cublasLtMatmulDescDestroy", status);  // it is gone all the same
  if (!operations().remove(matmulDesc)) return refuse("an operation is destroyed twice");
  return status;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t matmulDesc,
                                              cublasLtMatmulDescAttributes_t attr, const void* buf,
                                              size_t sizeInBytes) {
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  if (fails("cublasLtMatmulDescSetAttribute", status)) return status;
  Operation* const operation = operations().find(matmulDesc);
  if (operation == nullptr) return refuse("an attribute of an operation that is destroyed");
  switch (attr) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return take(operation->transpose_a, buf, sizeInBytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return take(operation->transpose_b, buf, sizeInBytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return take(operation->epilogue, buf, sizeInBytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return take(operation->bias, buf, sizeInBytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      return take(operation->bias_type, buf, sizeInBytes);
    case CUBLASLT_MATMUL_DESC_COMPUTE_TYPE:
    case CUBLASLT_MATMUL_DESC_SCALE_TYPE:
    case CUBLASLT_MATMUL_DESC_POINTER_MODE:
      break;
  }
  return refuse("attribute " + std::to_string(attr) + " of an operation is not simulated");
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* matLayout, cudaDataType type, uint64_t rows,
                                          uint64_t cols, int64_t ld) {
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  if (fails("cublasLtMatrixLayoutCreate", status)) return status;
  *matLayout = layouts().add({.type = type, .rows = rows, .columns = cols, .apart = ld});
  return status;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t matLayout) {
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  (void)fails("cublasLtMatrixLayoutDestroy", status);  // it is gone all the same
  if (!layouts().remove(matLayout)) return refuse("a layout is destroyed twice");
  return status;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t matLayout,
                                                cublasLtMatrixLayoutAttribute_t attr, const void* buf,
                                                size_t sizeInBytes) {
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  if (fails("cublasLtMatrixLayoutSetAttribute", status)) return status;
  Layout* const layout = layouts().find(matLayout);
  if (layout == nullptr) return refuse("an attribute of a layout that is destroyed");
  switch (attr) {
    case CUBLASLT_MATRIX_LAYOUT_ROWS:
      return take(layout->rows, buf, sizeInBytes);
    case CUBLASLT_MATRIX_LAYOUT_COLS:
      return take(layout->columns, buf, sizeInBytes);
    case CUBLASLT_MATRIX_LAYOUT_LD:
      return take(layout->apart, buf, sizeInBytes);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
      return take(layout->batch, buf, sizeInBytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
      return take(layout->stride, buf, sizeInBytes);
    case CUBLASLT_MATRIX_LAYOUT_TYPE:
    case CUBLASLT_MATRIX_LAYOUT_ORDER:
      break;
  }
  return refuse("attribute " + std::to_string(attr) + " of a layout is not simulated");
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* pref) {
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  if (fails("cublasLtMatmulPreferenceCreate", status)) return status;
  *pref = preferences().add({});
  return status;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t pref) {
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  (void)fails("cublasLtMatmulPreferenceDestroy", status);  // it is gone all the same
  if (!preferences().remove(pref)) return refuse("a preference is destroyed twice");
  return status;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t pref,
                                                    cublasLtMatmulPreferenceAttributes_t attr, const void* buf,
                                                    size_t sizeInBytes) {
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  if (fails("cublasLtMatmulPreferenceSetAttribute", status)) return status;
  Preference* const preference = preferences().find(pref);
  if (preference == nullptr) return refuse("an attribute of a preference that is destroyed");
  switch (attr) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return take(preference->workspace_bytes, buf, sizeInBytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return take(preference->reductions, buf, sizeInBytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      return take(preference->alignment[0], buf, sizeInBytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      return take(preference->alignment[1], buf, sizeInBytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      return take(preference->alignment[2], buf, sizeInBytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return take(preference->alignment[3], buf, sizeInBytes);
    case CUBLASLT_MATMUL_PREF_SEARCH_MODE:
      break;
  }
  return refuse("attribute " + std::to_string(attr) + " of a preference is not simulated");
}
