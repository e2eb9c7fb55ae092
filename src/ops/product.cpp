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

template <class Number>
void set_gradient(device::Context& context, const SetGradients<Number>& of, const SetRows& of_set) {
  const TileFactors<Number>& rows = of.rows;
  matmul(context,
         {.m = rows.in,
          .n = rows.out,
          .k = of_set.rows.size(),
          .lda = rows.x_stride,
          .ldb = rows.y_stride,
          .ldc = rows.out,
          .transpose_a = Transpose::yes,
          .accumulate = of.added},
         rows.x + of_set.rows.begin * rows.x_stride, rows.y + of_set.rows.begin * rows.y_stride,
         of.gradient + of_set.set * of.stride);
}

template <class Number>
void set_gradients(device::Context& context, const SetGradients<Number>& of, Span<const SetRows> of_sets) {
  if (is_on_gpu(context)) return cuda::set_gradients(context, of, of_sets);
  for (const auto& [set, rows] : of_sets) set_gradient(context, of, {set, rows});
}

template void set_gradient(device::Context&, const SetGradients<float>&, const SetRows&);
template void set_gradient(device::Context&, const SetGradients<bfloat16>&, const SetRows&);
template void set_gradients(device::Context&, const SetGradients<float>&, Span<const SetRows>);
template void set_gradients(device::Context&, const SetGradients<bfloat16>&, Span<const SetRows>);
template void set_products(device::Context&, const SetProduct<float>&, Span<const SetRows>, RowSets);
template void set_products(device::Context&, const SetProduct<bfloat16>&, Span<const SetRows>, RowSets);
template void set_products(device::Context&, const SetProduct<std::int8_t>&, Span<const SetRows>, RowSets);

}  // namespace switchyard::ops
