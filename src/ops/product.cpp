#include "ops/product.hpp"

#include "base/error.hpp"

namespace switchyard::ops {
namespace {

void expect_host(const device::Context& context) {
  if (context.device() == device::DeviceKind::cuda) throw NotBuilt("products on a GPU");
}

}  // namespace

void matmul(device::Context& context, const MatmulShape& shape, const float* a, const float* b, float* c,
            const float* bias) {
  expect_host(context);
  matmul(shape, a, b, c, bias);
}

void matmul(device::Context& context, const MatmulShape& shape, const bfloat16* a, const bfloat16* b, float* c,
            const float* bias) {
  expect_host(context);
  matmul(shape, a, b, c, bias);
}

void matmul(device::Context& context, const MatmulShape& shape, const std::int8_t* a, const std::int8_t* b,
            float* c) {
  expect_host(context);
  matmul(shape, a, b, c);
}

template <class Number>
void set_products(device::Context& context, const SetProduct<Number>& product, Span<const SetRows> sets,
                  RowSets /*of_rows*/) {
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
