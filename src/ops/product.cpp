#include "ops/product.hpp"

#include <type_traits>

#include "ops/cuda/products.hpp"

namespace switchyard::ops {
namespace {

bool is_on_gpu(const device::Context& context) { return context.device() == device::DeviceKind::cuda; }

}  // namespace

void matmul(device::Context& context, const MatmulShape& shape, const float* a, const float* b, float* c,
            const float* bias) {
  if (is_on_gpu(context)) return cuda::multiply(context, shape, a, b, c, bias);
  matmul(shape, a, b, c, bias);
}

void matmul(device::Context& context, const MatmulShape& shape, const bfloat16* a, const bfloat16* b, float* c,
            const float* bias) {
  if (is_on_gpu(context)) return cuda::multiply(context, shape, a, b, c, bias);
  matmul(shape, a, b, c, bias);
}

void matmul(device::Context& context, const MatmulShape& shape, const std::int8_t* a, const std::int8_t* b,
            float* c) {
  if (is_on_gpu(context)) return cuda::multiply(context, shape, a, b, c, nullptr);
  matmul(shape, a, b, c);
}

template <class Number>
void set_products(device::Context& context, const SetProduct<Number>& product, Span<const SetRows> sets,
                  RowSets of_rows) {
  if (is_on_gpu(context)) return cuda::multiply_sets(context, product, sets, of_rows);
  for (const auto& [set, rows] : sets) {
    if (rows.empty()) continue;
    const MatmulShape shape{.m = rows.size(),
                            .n = product.n,
                            .k = product.k,
                            .lda = product.lda,
                            .ldb = product.ldb,
                            .ldc = product.ldc,
                            .transpose_b = product.transpose_b,
                            .epilogue = product.epilogue};
    const Number* const a = product.a + rows.begin * product.lda;
    const Number* const b = product.b + set * product.b_stride;
    float* const c = product.c + rows.begin * product.ldc;
    if constexpr (std::is_same_v<Number, std::int8_t>) {
      matmul(context, shape, a, b, c);
    } else {
      const bool adds_bias = product.epilogue != Epilogue::none;
      matmul(context, shape, a, b, c, adds_bias ? product.bias + set * product.bias_stride : nullptr);
    }
  }
}

template void set_products(device::Context&, const SetProduct<float>&, Span<const SetRows>, RowSets);
template void set_products(device::Context&, const SetProduct<bfloat16>&, Span<const SetRows>, RowSets);
template void set_products(device::Context&, const SetProduct<std::int8_t>&, Span<const SetRows>, RowSets);

}  // namespace switchyard::ops
