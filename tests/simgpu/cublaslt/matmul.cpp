// cublasLtMatmul of the simulated library: looks at everything when it is called, and computes when the stream
// comes to it.
#include <cstring>

#include "compute.hpp"
#include "simgpu/device.hpp"

namespace simgpu::cublaslt {
namespace {

constexpr std::int32_t most_rows_of_few = 48;  // for bits that depend on the number of rows

std::size_t bytes_from_first(const Layout& layout) {
  const auto last = static_cast<std::uint64_t>((layout.batch - 1) * layout.stride +
                                               layout.apart * static_cast<std::int64_t>(layout.columns - 1)) +
                    layout.rows;
  return last * bytes_of(layout.type);
}

struct Argument {
  const char* name;
  const void* pointer;
  const Layout* layout;
  std::uint64_t alignment;
};

// Every column begins at a multiple of what was declared.
std::string misplaced(const Argument& x) {
  const std::uint64_t bytes = bytes_of(x.layout->type);
  const auto ok = [&](std::uint64_t distance) { return distance % x.alignment == 0; };
  const bool columns = x.layout->columns == 1 || ok(static_cast<std::uint64_t>(x.layout->apart) * bytes);
  const bool products = x.layout->batch == 1 || ok(static_cast<std::uint64_t>(x.layout->stride) * bytes);
  if (ok(reinterpret_cast<std::uintptr_t>(x.pointer)) && columns && products) return "";
  return std::string(x.name) + " does not lie as declared, at multiples of " + std::to_string(x.alignment) +
         " bytes";
}

double factor(const void* pointer, cudaDataType_t type) {
  if (type == CUDA_R_32I) {
    std::int32_t value = 0;
    std::memcpy(&value, pointer, sizeof value);
    return value;
  }
  float value = 0;
  std::memcpy(&value, pointer, sizeof value);
  return static_cast<double>(value);
}

Order order_of(const Choice& choice, const Layout& result) {
  const bool first = choice.order == Order::ascending;
  const bool by_rows = is_set("all_by_rows") || (is_set("by_rows") && first);
  if (!by_rows || result.columns > most_rows_of_few) return choice.order;
  return first ? Order::even_then_odd : Order::ascending;
}

}  // namespace
}  // namespace simgpu::cublaslt

using namespace simgpu::cublaslt;

cublasStatus_t cublasLtMatmul(cublasLtHandle_t lightHandle, cublasLtMatmulDesc_t computeDesc, const void* alpha,
                              const void* A, cublasLtMatrixLayout_t Adesc, const void* B,
                              cublasLtMatrixLayout_t Bdesc, const void* beta, const void* C,
                              cublasLtMatrixLayout_t Cdesc, void* D, cublasLtMatrixLayout_t Ddesc,
                              const cublasLtMatmulAlgo_t* algo, void* workspace, size_t workspaceSizeInBytes,
                              cudaStream_t stream) {
  if (const auto code = simgpu::enter("cublasLtMatmul", CUBLAS_STATUS_EXECUTION_FAILED))
    return static_cast<cublasStatus_t>(*code);
  if (simgpu::lost_code() != 0) return CUBLAS_STATUS_EXECUTION_FAILED;
  const Shapes s{find(computeDesc), find(Adesc), find(Bdesc), find(Cdesc), find(Ddesc)};
  if (!is_open(lightHandle)) return refuse("a handle is not open");
  if (const std::string why = mistake_in(s); !why.empty()) return refuse(why);
  if (algo == nullptr) return refuse("no algorithm is named: the library would choose one by the whole shape");
  if (const std::string why = mistake_in(*algo, s); !why.empty()) return refuse(why);
  if (workspace != nullptr || workspaceSizeInBytes != 0) return refuse("a workspace is given");
  const Choice choice = choice_of(*algo);
  for (const Argument& x :
       {Argument{"A", A, s.a, choice.alignment[0]}, Argument{"B", B, s.b, choice.alignment[1]},
        Argument{"C", C, s.c, choice.alignment[2]}, Argument{"D", D, s.d, choice.alignment[3]}}) {
    if (const std::string why = misplaced(x); !why.empty()) return refuse(why);
  }
  const bool has_bias = (s.operation->epilogue & CUBLASLT_EPILOGUE_BIAS) != 0;
  const std::byte* const bias =
      has_bias ? simgpu::device_range(s.operation->bias, s.d->rows * sizeof(float), "cublasLtMatmul: the bias")
               : nullptr;
  const Work work{.operation = *s.operation,
                  .a_layout = *s.a,
                  .b_layout = *s.b,
                  .c_layout = *s.c,
                  .d_layout = *s.d,
                  .alpha = factor(alpha, s.operation->scale),
                  .beta = factor(beta, s.operation->scale),
                  .a = simgpu::device_range(A, bytes_from_first(*s.a), "cublasLtMatmul: A"),
                  .b = simgpu::device_range(B, bytes_from_first(*s.b), "cublasLtMatmul: B"),
                  .c = simgpu::device_range(C, bytes_from_first(*s.c), "cublasLtMatmul: C"),
                  .d = simgpu::device_range(D, bytes_from_first(*s.d), "cublasLtMatmul: D"),
                  .bias = reinterpret_cast<const float*>(bias),
                  .order = order_of(choice, *s.d),
                  .first_is_wrong = is_set("wrong") && choice.order == Order::ascending};
  simgpu::enqueue(stream, "cublasLtMatmul", [work] { compute(work); });
  return CUBLAS_STATUS_SUCCESS;
}
