#include "ops/tile_product.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/detail/matmul_shape.hpp"
#include "ops/kernels/tile_product.hpp"

namespace switchyard::ops {

template <class Number>
void tile_product(device::Context& context, const MatmulShape& s, const Number* a, const Number* b, float* c,
                  const float* bias) {
  detail::check_shape(s, bias);
  if (s.m == 0 || s.n == 0) return;
  const bool plain_a = s.transpose_a == Transpose::no, plain_b = s.transpose_b == Transpose::no;
  const kernels::TileProduct<Number> kernel{.a = {a, plain_a ? s.lda : 1, plain_a ? 1 : s.lda},
                                            .b = {b, plain_b ? 1 : s.ldb, plain_b ? s.ldb : 1},
                                            .b_set = 0,
                                            .c = c,
                                            .ldc = s.ldc,
                                            .bias = bias,
                                            .bias_set = 0,
                                            .first_row = 0,
                                            .end_row = s.m,
                                            .n = s.n,
                                            .k = s.k,
                                            .sets = {},
                                            .accumulate = s.accumulate,
                                            .relu = s.epilogue == Epilogue::bias_relu};
  device::for_each_row(context, kernel.blocks(), kernel);
}

template <class Number>
void tile_set_products(device::Context& context, const SetProduct<Number>& p, IndexRange rows, RowSets sets) {
  SY_EXPECTS(sets.of_granule == nullptr || (sets.first_row + rows.begin) % granule_rows == 0,
             "rows of several sets begin at row {}, which is no multiple of {}", sets.first_row + rows.begin,
             granule_rows);
  if (rows.empty() || p.n == 0) return;
  const bool plain_b = p.transpose_b == Transpose::no;
  const kernels::TileProduct<Number> kernel{.a = {p.a, p.lda, 1},
                                            .b = {p.b, plain_b ? 1 : p.ldb, plain_b ? p.ldb : 1},
                                            .b_set = p.b_stride,
                                            .c = p.c,
                                            .ldc = p.ldc,
                                            .bias = p.epilogue == Epilogue::none ? nullptr : p.bias,
                                            .bias_set = p.bias_stride,
                                            .first_row = rows.begin,
                                            .end_row = rows.end,
                                            .n = p.n,
                                            .k = p.k,
                                            .sets = sets,
                                            .accumulate = false,
                                            .relu = p.epilogue == Epilogue::bias_relu};
  device::for_each_row(context, kernel.blocks(), kernel);
}

void add_bias(device::Context& context, const AddedBias& added, tensor::Matrix c) {
  if (added.epilogue == Epilogue::none) return;
  device::for_each_row(context, c.rows,
                       kernels::AddBias{.c = c,
                                        .bias = added.bias,
                                        .bias_set = added.bias_stride,
                                        .sets = added.sets,
                                        .relu = added.epilogue == Epilogue::bias_relu});
}

void int32_to_float(device::Context& context, tensor::Matrix c) {
  device::for_each_row(context, c.rows, kernels::Int32ToFloat{c});
}

#define SY_TILE_PRODUCTS_OF(Number)                                                                      \
  template void tile_product(device::Context&, const MatmulShape&, const Number*, const Number*, float*, \
                             const float*);                                                              \
  template void tile_set_products(device::Context&, const SetProduct<Number>&, IndexRange, RowSets);
SY_TILE_PRODUCTS_OF(float)
SY_TILE_PRODUCTS_OF(bfloat16)
SY_TILE_PRODUCTS_OF(std::int8_t)
#undef SY_TILE_PRODUCTS_OF

}  // namespace switchyard::ops
