#include "ops/cuda/products.hpp"

#include <algorithm>
#include <type_traits>

#include "base/contract.hpp"
#include "ops/counted.hpp"
#include "ops/cuda/product_plans.hpp"
#include "ops/detail/matmul_shape.hpp"
#include "ops/gpu_products.hpp"
#include "ops/tile_product.hpp"

namespace switchyard::ops {
namespace cuda {
namespace {

// Rows of sets: one launch of our kernel for all, or a call of the library for each set. On an H100 our kernel
// is expected to do 15 to 20 TFLOP/s of float32, the library about 45 of many rows; a call of it is enqueued in
// some 3 us, and one of few rows, which few multiprocessors share, takes 10 us or more whatever it does. So up
// to 2^18 weights of a set our kernel is as fast with 600 rows each, and where there are many sets, with few
// rows each, at any size: below some 170 rows of 2^20 weights. In bfloat16 the library has tensor cores, and 20
// times the rate of ours. The rule knows nothing of rows, nor of the sets that a rank has: a row has the same
// bits whatever is beside it.
constexpr index_t most_weights_of_own_kernel = index_t{1} << 18;
constexpr index_t many_sets = 16;

// Gradients of sets depend on their own rows, all of which are here, so the rule may: the library is called for
// a set with as many multiply-adds, which take it twice as long as enqueuing a call, and our kernel 15 us on
// all multiprocessors.
constexpr index_t least_gradient_of_library = index_t{1} << 27;

template <class Number>
Arithmetic arithmetic_of(const ProductPlans& plans) {
  if constexpr (std::is_same_v<Number, float>) {
    return plans.of_floats;
  } else {
    return std::is_same_v<Number, bfloat16> ? Arithmetic::bfloat16 : Arithmetic::int8;
  }
}

tensor::Matrix result_of(const Product& product) {
  return {product.c, product.shape.m, product.shape.n, product.shape.ldc};
}

// Enqueues it.
void run(device::Context& context, ProductPlans& plans, ProductPlan& plan, const Product& product) {
  ++context.counters().products;
  plan.descriptors.run(plans.handle(), product, plan.algorithm, context.stream());
  if (product.arithmetic == Arithmetic::int8) int32_to_float(context, result_of(product));
}

// Of all sets, each with at least a row; neither its rows nor its set.
template <class Number>
Product product_of_sets(const SetProduct<Number>& p, const ProductPlans& plans) {
  return {.shape = {.n = p.n, .k = p.k, .lda = p.lda, .ldb = p.ldb, .ldc = p.ldc, .transpose_b = p.transpose_b},
          .arithmetic = arithmetic_of<Number>(plans),
          .a = p.a,
          .b = p.b,
          .c = p.c,
          .b_stride = p.b_stride};
}

template <class Number>
Product of_rows_of(const SetProduct<Number>& p, Product product, const SetRows& rows) {
  product.shape.m = rows.rows.size();
  product.a = p.a + rows.rows.begin * p.lda;
  product.b = p.b + rows.set * p.b_stride;
  product.c = p.c + rows.rows.begin * p.ldc;
  return product;
}

// Neighbours in both, with equally many rows: one call of the library.
bool are_alike(Span<const SetRows> sets) {
  for (std::size_t i = 1; i < sets.size(); ++i) {
    const SetRows &before = sets[i - 1], &next = sets[i];
    if (next.set != before.set + 1 || next.rows.begin != before.rows.end ||
        next.rows.size() != before.rows.size())
      return false;
  }
  return true;
}

template <class Number>
void multiply_sets_by_library(device::Context& context, ProductPlans& plans, ProductPlan& plan,
                              const SetProduct<Number>& p, Span<const SetRows> sets) {
  const Product all = product_of_sets(p, plans);
  if (are_alike(sets)) {
    Product product = of_rows_of(p, all, sets[0]);
    product.count = std::ssize(sets);
    product.a_stride = product.shape.m * p.lda;
    product.c_stride = product.shape.m * p.ldc;
    return run(context, plans, plan, product);
  }
  for (const SetRows& rows : sets) {
    if (!rows.rows.empty()) run(context, plans, plan, of_rows_of(p, all, rows));
  }
}

// body(rows) for what the sets have without a gap: all, as a rule.
void for_each_run_of_rows(Span<const SetRows> sets, const auto& body) {
  IndexRange rows{};
  for (const SetRows& next : sets) {
    if (next.rows.empty()) continue;
    if (next.rows.begin != rows.end) {
      if (!rows.empty()) body(rows);
      rows.begin = next.rows.begin;
    }
    rows.end = next.rows.end;
  }
  if (!rows.empty()) body(rows);
}

template <class Number>
bool are_for_own_kernel(const SetProduct<Number>& p) {
  if (std::is_same_v<Number, std::int8_t> || p.n * p.k <= most_weights_of_own_kernel) return true;
  return std::is_same_v<Number, float> && p.sets_of_all_ranks >= many_sets;
}

}  // namespace

template <class Number>
void multiply(device::Context& context, const MatmulShape& shape, const Number* a, const Number* b, float* c,
              const float* bias) {
  detail::check_shape(shape, bias);
  if (shape.m == 0 || shape.n == 0) return;
  add_multiply_adds(shape.m * shape.n * shape.k);
  ProductPlans& plans = ProductPlans::of_this_thread();
  const Product product{.shape = shape,
                        .arithmetic = arithmetic_of<Number>(plans),
                        .a = a,
                        .b = b,
                        .c = c,
                        .bias = shape.epilogue == Epilogue::bias ? bias : nullptr};
  const bool adds_to_floats = product.arithmetic == Arithmetic::int8 && shape.accumulate;
  if (shape.k > 0 && !adds_to_floats) {
    ProductPlan& plan = plans.plan(context, key_of(product));
    if (plan.by_library) {
      run(context, plans, plan, product);
      if (shape.epilogue != Epilogue::bias_relu) return;
      return add_bias(context, {.epilogue = shape.epilogue, .bias = bias, .sets = {}}, result_of(product));
    }
  }
  tile_product(context, shape, a, b, c, bias);
}

template <class Number>
void multiply_sets(device::Context& context, const SetProduct<Number>& p, Span<const SetRows> sets,
                   RowSets of_rows) {
  index_t rows = 0;
  for (const SetRows& of_set : sets) {
    SY_EXPECTS(of_rows.of_granule != nullptr || of_set.set == 0,
               "rows of set {} without a table of the sets of rows", of_set.set);
    rows += of_set.rows.size();
  }
  if (rows == 0 || p.n == 0) return;
  add_multiply_adds(rows * p.n * p.k);
  if (p.k > 0 && !are_for_own_kernel(p)) {
    ProductPlans& plans = ProductPlans::of_this_thread();
    ProductPlan& plan = plans.plan(context, key_of(product_of_sets(p, plans)));
    if (plan.by_library) {
      multiply_sets_by_library(context, plans, plan, p, sets);
      return for_each_run_of_rows(sets, [&](IndexRange run) {
        add_bias(context,
                 {p.epilogue, p.bias, p.bias_stride, {of_rows.of_granule, of_rows.first_row + run.begin}},
                 {p.c + run.begin * p.ldc, run.size(), p.n, p.ldc});
      });
    }
  }
  for_each_run_of_rows(sets, [&](IndexRange run) { tile_set_products(context, p, run, of_rows); });
}

template <class Number>
void set_gradients(device::Context& context, const SetGradients<Number>& of, Span<const SetRows> of_sets) {
  const index_t weights = of.rows.in * of.rows.out;
  if (weights == 0) return;
  const index_t too_many = (least_gradient_of_library + weights - 1) / weights;
  index_t others = 0, rows = 0;
  for (const SetRows& of_set : of_sets) {
    if (of_set.rows.size() >= too_many) {
      set_gradient(context, of, of_set);
    } else {
      ++others;
      rows += of_set.rows.size();
    }
  }
  add_multiply_adds(rows * weights);
  if (others > 0) tile_set_gradients(context, of, too_many);
}

template void set_gradients(device::Context&, const SetGradients<float>&, Span<const SetRows>);
template void set_gradients(device::Context&, const SetGradients<bfloat16>&, Span<const SetRows>);

#define SY_GPU_PRODUCTS_OF(Number)                                                                   \
  template void multiply(device::Context&, const MatmulShape&, const Number*, const Number*, float*, \
                         const float*);                                                              \
  template void multiply_sets(device::Context&, const SetProduct<Number>&, Span<const SetRows>, RowSets);
SY_GPU_PRODUCTS_OF(float)
SY_GPU_PRODUCTS_OF(bfloat16)
SY_GPU_PRODUCTS_OF(std::int8_t)
#undef SY_GPU_PRODUCTS_OF

}  // namespace cuda

GpuProductLibrary gpu_product_library() {
  const cuda::CublasLibrary& library = cuda::find_cublas();
  if (!library.why_none.empty()) return {"", "", library.why_none};
  return {library.file.path(), library.version(), ""};
}

std::vector<ProductChoice> product_choices(const device::Context& context) {
  std::vector<ProductChoice> choices;
  if (context.device() == device::DeviceKind::cpu) return choices;
  for (const cuda::ProductPlan& plan : cuda::ProductPlans::of_this_thread().all()) {
    choices.push_back({describe(plan.key), plan.by_library,
                       plan.by_library ? describe(plan.algorithm) : "own kernel", plan.why});
  }
  return choices;
}

ProductIdentity product_identity(const device::Context& context) {
  if (context.device() == device::DeviceKind::cpu) return {product_library(), product_instruction_set()};
  return {"cublasLt " + cuda::find_cublas().version(), context.device_name()};
}

void set_float_products(const device::Context& context, FloatProducts products) {
  if (context.device() == device::DeviceKind::cpu) return;
  cuda::ProductPlans::of_this_thread().of_floats =
      products == FloatProducts::tf32 ? cuda::Arithmetic::tf32 : cuda::Arithmetic::float32;
}

}  // namespace switchyard::ops
