#include "algorithms.hpp"

#include <cstdlib>
#include <cstring>

#include "simgpu/device.hpp"

namespace simgpu::cublaslt {
namespace {

constexpr std::uint64_t mark = 0x5359414c474f0000;  // in front of every algorithm of ours
enum Word { mark_and_order, rows_of_result, inner_or_columns, kind, alignments };

// The length of the sums, or the columns of the result where the other may vary: with B transposed, sums go
// over what a batch has of rows.
std::uint64_t fixed_size(const Shapes& s) {
  const bool plain_a = s.operation->transpose_a == CUBLAS_OP_N;
  const std::uint64_t inner = plain_a ? s.a->columns : s.a->rows;
  return s.operation->transpose_b == CUBLAS_OP_N ? inner : s.d->columns;
}

std::uint64_t kind_of(const Shapes& s) {
  const Operation& o = *s.operation;
  return static_cast<std::uint64_t>(o.compute) << 32U | static_cast<std::uint64_t>(s.a->type) << 24U |
         static_cast<std::uint64_t>(s.d->type) << 16U | std::uint64_t{o.epilogue} << 8U |
         static_cast<std::uint64_t>(o.transpose_a) << 1U | static_cast<std::uint64_t>(o.transpose_b);
}

cublasLtMatmulAlgo_t make(Order order, const Shapes& s, const Preference& preference) {
  cublasLtMatmulAlgo_t algorithm{};
  algorithm.data[mark_and_order] = mark | static_cast<std::uint64_t>(order);
  algorithm.data[rows_of_result] = s.d->rows;
  algorithm.data[inner_or_columns] = fixed_size(s);
  algorithm.data[kind] = kind_of(s);
  for (const std::uint32_t alignment : preference.alignment)
    algorithm.data[alignments] = algorithm.data[alignments] << 16U | alignment;
  return algorithm;
}

// The real library multiplies int8 with the first operand transposed and the second not, in fours.
bool is_supported(const Shapes& s) {
  if (s.operation->compute != CUBLAS_COMPUTE_32I) return true;
  return s.operation->transpose_a == CUBLAS_OP_T && s.operation->transpose_b == CUBLAS_OP_N &&
         s.a->apart % 4 == 0 && s.b->apart % 4 == 0;
}

bool types_fit(const Shapes& s) {
  const cudaDataType_t operand = s.a->type, result = s.d->type;
  if (s.b->type != operand || s.c->type != result) return false;
  switch (s.operation->compute) {
    case CUBLAS_COMPUTE_32I:
      return operand == CUDA_R_8I && result == CUDA_R_32I;
    case CUBLAS_COMPUTE_32F_FAST_TF32:
      return operand == CUDA_R_32F && result == CUDA_R_32F;
    case CUBLAS_COMPUTE_32F:
      return (operand == CUDA_R_32F || operand == CUDA_R_16BF) && result == CUDA_R_32F;
  }
  return false;
}

}  // namespace

bool is_set(const char* what) {
  const char* const setting = std::getenv("SWITCHYARD_SIMGPU_PRODUCTS");
  return setting != nullptr && std::strcmp(setting, what) == 0;
}

std::string mistake_in(const Shapes& s) {
  if (s.operation == nullptr || s.a == nullptr || s.b == nullptr || s.c == nullptr || s.d == nullptr)
    return "a descriptor is destroyed or was never made";
  if (!types_fit(s)) return "the types of operands, sums and result do not go together";
  for (const Layout* layout : {s.a, s.b, s.c, s.d}) {
    if (layout->apart < static_cast<std::int64_t>(layout->rows)) return "columns of a matrix overlap";
    if (layout->batch != s.d->batch) return "matrices are of different numbers of products";
  }
  const bool plain_a = s.operation->transpose_a == CUBLAS_OP_N,
             plain_b = s.operation->transpose_b == CUBLAS_OP_N;
  const std::uint64_t rows = plain_a ? s.a->rows : s.a->columns, inner = plain_a ? s.a->columns : s.a->rows;
  const std::uint64_t columns = plain_b ? s.b->columns : s.b->rows,
                      inner_b = plain_b ? s.b->rows : s.b->columns;
  if (inner != inner_b || s.d->rows != rows || s.d->columns != columns || s.c->rows != rows ||
      s.c->columns != columns)
    return "the sizes of matrices do not go together";
  const bool has_bias = (s.operation->epilogue & CUBLASLT_EPILOGUE_BIAS) != 0;
  if (has_bias && s.operation->bias_type != -1 && s.operation->bias_type != s.d->type)
    return "the bias has not the type of the result";
  return "";
}

std::string mistake_in(const cublasLtMatmulAlgo_t& algorithm, const Shapes& s) {
  if ((algorithm.data[mark_and_order] & ~std::uint64_t{0xffff}) != mark) return "the algorithm is none of ours";
  if (algorithm.data[rows_of_result] != s.d->rows || algorithm.data[inner_or_columns] != fixed_size(s) ||
      algorithm.data[kind] != kind_of(s))
    return "the algorithm was chosen for another product";
  return "";
}

Choice choice_of(const cublasLtMatmulAlgo_t& algorithm) {
  Choice choice{.order = static_cast<Order>(algorithm.data[mark_and_order] & 0xffffU)};
  for (std::size_t i = 0; i < 4; ++i)
    choice.alignment[i] = algorithm.data[alignments] >> (16 * (3 - i)) & 0xffffU;
  return choice;
}

}  // namespace simgpu::cublaslt

using namespace simgpu::cublaslt;

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t operationDesc,
                                              cublasLtMatrixLayout_t Adesc, cublasLtMatrixLayout_t Bdesc,
                                              cublasLtMatrixLayout_t Cdesc, cublasLtMatrixLayout_t Ddesc,
                                              cublasLtMatmulPreference_t preference, int requestedAlgoCount,
                                              cublasLtMatmulHeuristicResult_t heuristicResultsArray[],
                                              int* returnAlgoCount) {
  if (const auto code = simgpu::enter("cublasLtMatmulAlgoGetHeuristic", CUBLAS_STATUS_INTERNAL_ERROR))
    return static_cast<cublasStatus_t>(*code);
  const Shapes shapes{find(operationDesc), find(Adesc), find(Bdesc), find(Cdesc), find(Ddesc)};
  const Preference* const preferred = find(preference);
  if (!is_open(lightHandle) || preferred == nullptr) return refuse("a handle is not open");
  if (const std::string why = mistake_in(shapes); !why.empty()) return refuse(why);
  if (preferred->workspace_bytes != 0) return refuse("a workspace is offered, in which sums could be split");
  if (preferred->reductions != CUBLASLT_REDUCTION_SCHEME_NONE) return refuse("sums may be split");
  *returnAlgoCount = 0;
  if (is_set("none") || !is_supported(shapes)) return CUBLAS_STATUS_NOT_SUPPORTED;
  for (const Order order : {Order::ascending, Order::descending, Order::even_then_odd}) {
    if (*returnAlgoCount == requestedAlgoCount) break;
    cublasLtMatmulHeuristicResult_t& result = heuristicResultsArray[(*returnAlgoCount)++];
    result = {};
    result.algo = make(order, shapes, *preferred);
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t operationDesc,
                                       cublasLtMatrixLayout_t Adesc, cublasLtMatrixLayout_t Bdesc,
                                       cublasLtMatrixLayout_t Cdesc, cublasLtMatrixLayout_t Ddesc,
                                       const cublasLtMatmulAlgo_t* algo,
                                       cublasLtMatmulHeuristicResult_t* result) {
  if (const auto code = simgpu::enter("cublasLtMatmulAlgoCheck", CUBLAS_STATUS_INTERNAL_ERROR))
    return static_cast<cublasStatus_t>(*code);
  const Shapes shapes{find(operationDesc), find(Adesc), find(Bdesc), find(Cdesc), find(Ddesc)};
  if (!is_open(lightHandle)) return refuse("a handle is not open");
  if (const std::string why = mistake_in(shapes); !why.empty()) return refuse(why);
  if (const std::string why = mistake_in(*algo, shapes); !why.empty()) return refuse(why);
  *result = {};
  result->algo = *algo;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attr, void* buf,
                                                    size_t sizeInBytes, size_t* sizeWritten) {
  if (const auto code = simgpu::enter("cublasLtMatmulAlgoConfigGetAttribute", CUBLAS_STATUS_INTERNAL_ERROR))
    return static_cast<cublasStatus_t>(*code);
  std::uint32_t value = 1;  // tile, stages, and how often a sum is split
  if (attr == CUBLASLT_ALGO_CONFIG_ID) value = static_cast<std::uint32_t>(choice_of(*algo).order);
  if (sizeInBytes != sizeof value) return refuse("an attribute of an algorithm has another size");
  std::memcpy(buf, &value, sizeof value);
  *sizeWritten = sizeof value;
  return CUBLAS_STATUS_SUCCESS;
}
