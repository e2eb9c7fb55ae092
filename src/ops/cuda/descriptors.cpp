#include "ops/cuda/descriptors.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdint>

#include "ops/detail/matmul_shape.hpp"

namespace switchyard::ops::cuda {
namespace {

constexpr int most_candidates = 8;

struct Types {
  cublasComputeType_t compute;
  cudaDataType_t scale, operand, result;
};

Types types_of(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::float32:
      return {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F};
    case Arithmetic::tf32:
      return {CUBLAS_COMPUTE_32F_FAST_TF32, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F};
    case Arithmetic::bfloat16:
      return {CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_32F};
    case Arithmetic::int8:
      return {CUBLAS_COMPUTE_32I, CUDA_R_32I, CUDA_R_8I, CUDA_R_32I};
  }
  return {};
}

std::string subject_of(const Product& product) {
  const std::string one = detail::describe(product.shape, name_of(product.arithmetic));
  return product.count == 1 ? one : fmt::format("{}, {} times", one, product.count);
}

template <class Value>
void set_in_desc(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t what, Value value) {
  check_cublas(cublas().desc_set(desc, what, &value, sizeof value), "cublasLtMatmulDescSetAttribute",
               "a product");
}

template <class Value>
void set_in_layout(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t what, Value value) {
  check_cublas(cublas().layout_set(layout, what, &value, sizeof value), "cublasLtMatrixLayoutSetAttribute",
               "a matrix of a product");
}

cublasLtMatrixLayout_t make_layout(cudaDataType_t type) {
  cublasLtMatrixLayout_t layout = nullptr;
  check_cublas(cublas().layout_create(&layout, type, 1, 1, 1), "cublasLtMatrixLayoutCreate",
               "a matrix of a product");
  return layout;
}

struct PreferenceTraits {
  using Handle = cublasLtMatmulPreference_t;
  static Handle none() noexcept { return nullptr; }
  static void close(Handle preference) noexcept {
    log_cublas_failure(find_cublas().preference_destroy(preference), "cublasLtMatmulPreferenceDestroy");
  }
};
using Preference = UniqueHandle<PreferenceTraits>;

// A workspace would be shared by queues, and a sum that is cut would be added up in it: neither.
Preference make_preference(const ProductKey& key) {
  cublasLtMatmulPreference_t handle = nullptr;
  check_cublas(cublas().preference_create(&handle), "cublasLtMatmulPreferenceCreate", "a product");
  Preference preference(handle);
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t what, auto value) {
    check_cublas(cublas().preference_set(preference.get(), what, &value, sizeof value),
                 "cublasLtMatmulPreferenceSetAttribute", "a product");
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{0});
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_NONE});
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, static_cast<std::uint32_t>(key.b_alignment));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<std::uint32_t>(key.a_alignment));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<std::uint32_t>(key.c_alignment));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<std::uint32_t>(key.c_alignment));
  return preference;
}

template <class Value>
std::int64_t config_of(const Algorithm& algorithm, cublasLtMatmulAlgoConfigAttributes_t what) {
  Value value{};
  std::size_t written = 0;
  check_cublas(cublas().algo_config(&algorithm.bytes, what, &value, sizeof value, &written),
               "cublasLtMatmulAlgoConfigGetAttribute", "an algorithm");
  return static_cast<std::int64_t>(value);
}

bool sums_at_once(const Algorithm& algorithm) {
  return config_of<std::int32_t>(algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM) <= 1;
}

}  // namespace

CublasHandle open_cublas_handle() {
  cublasLtHandle_t handle = nullptr;
  check_cublas(cublas().create(&handle), "cublasLtCreate", "this GPU");
  return CublasHandle(handle);
}

std::string describe(const Algorithm& algorithm) {
  return fmt::format("algorithm {}, tile {}, stages {}",
                     config_of<std::int32_t>(algorithm, CUBLASLT_ALGO_CONFIG_ID),
                     config_of<std::uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_TILE_ID),
                     config_of<std::uint32_t>(algorithm, CUBLASLT_ALGO_CONFIG_STAGES_ID));
}

Descriptors::Descriptors(const ProductKey& key) : key_(key) {
  const Types types = types_of(key.arithmetic);
  cublasLtMatmulDesc_t operation = nullptr;
  check_cublas(cublas().desc_create(&operation, types.compute, types.scale), "cublasLtMatmulDescCreate",
               "a product");
  operation_ = UniqueHandle<DescTraits>(operation);
  const auto transpose = [](Transpose t) {
    return static_cast<std::int32_t>(t == Transpose::no ? CUBLAS_OP_N : CUBLAS_OP_T);
  };
  set_in_desc(operation, CUBLASLT_MATMUL_DESC_TRANSA, transpose(key.transpose_b));
  set_in_desc(operation, CUBLASLT_MATMUL_DESC_TRANSB, transpose(key.transpose_a));
  if (key.bias != 0) {
    set_in_desc(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, static_cast<std::uint32_t>(CUBLASLT_EPILOGUE_BIAS));
    set_in_desc(operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, static_cast<std::int32_t>(CUDA_R_32F));
  }
  first_.layout = Layout(make_layout(types.operand));
  second_.layout = Layout(make_layout(types.operand));
  result_.layout = Layout(make_layout(types.result));
}

void Descriptors::set(Matrix& matrix, const Extent& extent) {
  if (matrix.extent == extent) return;
  auto* const layout = matrix.layout.get();
  set_in_layout(layout, CUBLASLT_MATRIX_LAYOUT_ROWS, static_cast<std::uint64_t>(extent.rows));
  set_in_layout(layout, CUBLASLT_MATRIX_LAYOUT_COLS, static_cast<std::uint64_t>(extent.columns));
  set_in_layout(layout, CUBLASLT_MATRIX_LAYOUT_LD, std::int64_t{extent.apart});
  set_in_layout(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<std::int32_t>(extent.count));
  set_in_layout(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, std::int64_t{extent.stride});
  matrix.extent = extent;
}

void Descriptors::describe_call(const Product& product) {
  const MatmulShape& s = product.shape;
  const bool plain_a = s.transpose_a == Transpose::no, plain_b = s.transpose_b == Transpose::no;
  // Of one product nobody goes on to the next.
  const auto stride = [&](index_t elements) { return product.count > 1 ? elements : 0; };
  set(first_, {plain_b ? s.n : s.k, plain_b ? s.k : s.n, s.ldb, product.count, stride(product.b_stride)});
  set(second_, {plain_a ? s.k : s.m, plain_a ? s.m : s.k, s.lda, product.count, stride(product.a_stride)});
  set(result_, {s.n, s.m, s.ldc, product.count, stride(product.c_stride)});
  if (key_.bias != 0)
    set_in_desc(operation_.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<const void*>(product.bias));
}

std::vector<Algorithm> Descriptors::candidates(cublasLtHandle_t handle, const Product& product) {
  describe_call(product);
  const Preference preference = make_preference(key_);
  std::array<cublasLtMatmulHeuristicResult_t, most_candidates> found{};
  int count = 0;
  const cublasStatus_t status = cublas().get_heuristic(
      handle, operation_.get(), first_.layout.get(), second_.layout.get(), result_.layout.get(),
      result_.layout.get(), preference.get(), most_candidates, found.data(), &count);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED) return {};
  check_cublas(status, "cublasLtMatmulAlgoGetHeuristic", subject_of(product));
  std::vector<Algorithm> algorithms;
  for (int i = 0; i < count; ++i) {
    const cublasLtMatmulHeuristicResult_t& result = found[as_size(i)];
    const Algorithm algorithm{result.algo};
    if (result.state == CUBLAS_STATUS_SUCCESS && result.workspaceSize == 0 && sums_at_once(algorithm))
      algorithms.push_back(algorithm);
  }
  return algorithms;
}

bool Descriptors::accepts(cublasLtHandle_t handle, const Product& product, const Algorithm& algorithm) {
  describe_call(product);
  cublasLtMatmulHeuristicResult_t result{};
  const cublasStatus_t status =
      cublas().algo_check(handle, operation_.get(), first_.layout.get(), second_.layout.get(),
                          result_.layout.get(), result_.layout.get(), &algorithm.bytes, &result);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE) return false;
  check_cublas(status, "cublasLtMatmulAlgoCheck", subject_of(product));
  return result.workspaceSize == 0;
}

void Descriptors::run(cublasLtHandle_t handle, const Product& product, const Algorithm& algorithm,
                      void* stream) {
  describe_call(product);
  // The factors of the product and of what C holds, of the type of the sums.
  constexpr float float_factors[] = {0.0F, 1.0F};
  constexpr std::int32_t whole_factors[] = {0, 1};
  const auto factor = [&](bool one) -> const void* {
    if (key_.arithmetic == Arithmetic::int8) return &whole_factors[one ? 1 : 0];
    return &float_factors[one ? 1 : 0];
  };
  const cublasStatus_t status = cublas().matmul(
      handle, operation_.get(), factor(true), product.b, first_.layout.get(), product.a, second_.layout.get(),
      factor(product.shape.accumulate), product.c, result_.layout.get(), product.c, result_.layout.get(),
      &algorithm.bytes, nullptr, 0, static_cast<cudaStream_t>(stream));
  if (status != CUBLAS_STATUS_SUCCESS) [[unlikely]]
    check_cublas(status, "cublasLtMatmul", subject_of(product));
}

}  // namespace switchyard::ops::cuda
