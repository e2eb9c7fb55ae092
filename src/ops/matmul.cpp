#include "ops/matmul.hpp"

#include <dnnl_debug.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "base/contract.hpp"
#include "device/buffer.hpp"
#include "ops/convert.hpp"
#include "ops/counted.hpp"
#include "ops/detail/matmul_shape.hpp"
#include "ops/detail/onednn.hpp"
#include "ops/detail/plan_cache.hpp"

namespace switchyard::ops {
namespace {

struct Key {
  MatmulShape shape;
  dnnl_data_type_t type = dnnl_f32;  // of A and B
  bool operator==(const Key&) const = default;
};

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    const MatmulShape& s = key.shape;
    const auto flags = static_cast<index_t>(s.transpose_a) | static_cast<index_t>(s.transpose_b) << 1 |
                       static_cast<index_t>(s.accumulate) << 2 | static_cast<index_t>(s.epilogue) << 3 |
                       static_cast<index_t>(key.type) << 5;
    return detail::hash_of({s.m, s.n, s.k, s.lda, s.ldb, s.ldc, flags});
  }
};

std::string_view name_of(dnnl_data_type_t type) {
  if (type == dnnl_bf16) return "bfloat16";
  return type == dnnl_s8 ? "int8" : "float32";
}

std::string describe(const Key& key) { return detail::describe(key.shape, name_of(key.type)); }

// C = max(C, 0) in place; a NaN stays one. oneDNN's own ReLU turns it into 0, and hides a weight that is none.
void apply_relu(const MatmulShape& s, float* c) {
  for (index_t i = 0; i < s.m; ++i) {
    float* const row = c + i * s.ldc;
    for (index_t j = 0; j < s.n; ++j) row[j] = row[j] <= 0.0F ? 0.0F : row[j];
  }
}

// C = max(C + bias, 0) or C + bias, in place.
void apply_epilogue(const MatmulShape& s, float* c, const float* bias) {
  if (s.epilogue == Epilogue::none) return;
  for (index_t i = 0; i < s.m; ++i) {
    float* const row = c + i * s.ldc;
    if (s.epilogue == Epilogue::bias) {
      for (index_t j = 0; j < s.n; ++j) row[j] += bias[j];
    } else {
      for (index_t j = 0; j < s.n; ++j) row[j] = std::max(row[j] + bias[j], 0.0F);
    }
  }
}

// k = 0: the empty sum.
void multiply_nothing(const MatmulShape& s, float* c, const float* bias) {
  if (!s.accumulate) {
    for (index_t i = 0; i < s.m; ++i) std::fill_n(c + i * s.ldc, s.n, 0.0F);
  }
  apply_epilogue(s, c, bias);
}

// oneDNN has two ways to multiply float32. The matmul primitive fuses the epilogue and is faster for short
// sums; gemm is 5 to 35% faster for long ones, and there its tiles of A^T B have the bits of the whole product,
// where the primitive's (brgemm, 2.6) have not. The choice depends on k only, which all tiles of a product
// share.
constexpr index_t smallest_inner_size_of_gemm = 256;

void multiply_by_gemm(const Key& key, const float* a, const float* b, float* c, const float* bias) {
  (void)detail::DnnlThread::of_this_thread();  // one thread from here on
  const MatmulShape& s = key.shape;
  const auto letter = [](Transpose t) { return t == Transpose::no ? 'N' : 'T'; };
  const dnnl_status_t status = dnnl_sgemm(letter(s.transpose_a), letter(s.transpose_b), s.m, s.n, s.k, 1.0F, a,
                                          s.lda, b, s.ldb, s.accumulate ? 1.0F : 0.0F, c, s.ldc);
  if (status != dnnl_success) detail::check_dnnl(status, "run", describe(key));
  apply_epilogue(s, c, bias);
}

detail::DnnlAttributes make_attributes(const MatmulShape& s, const std::string& subject) {
  detail::DnnlAttributes attributes = detail::make_attributes();
  if (!s.accumulate) return attributes;
  dnnl_post_ops_t post_ops = nullptr;
  detail::check_dnnl(dnnl_post_ops_create(&post_ops), "plan", subject);
  const detail::DnnlPostOps owned(post_ops);
  detail::check_dnnl(dnnl_post_ops_append_sum(post_ops, 1.0F), "plan", subject);
  detail::check_dnnl(dnnl_primitive_attr_set_post_ops(attributes.get(), post_ops), "plan", subject);
  return attributes;
}

detail::DnnlOperation build(const Key& key) {
  const MatmulShape& s = key.shape;
  const std::string subject = describe(key);
  const bool plain_a = s.transpose_a == Transpose::no;
  const bool plain_b = s.transpose_b == Transpose::no;
  const auto a = detail::matrix_layout(key.type, s.m, s.k, plain_a ? s.lda : 1, plain_a ? 1 : s.lda);
  const auto b = detail::matrix_layout(key.type, s.k, s.n, plain_b ? s.ldb : 1, plain_b ? 1 : s.ldb);
  const auto c = detail::matrix_layout(dnnl_f32, s.m, s.n, s.ldc, 1);
  const auto bias = detail::matrix_layout(dnnl_f32, 1, s.n, s.n, 1);
  const bool with_bias = s.epilogue != Epilogue::none;

  dnnl_matmul_desc_t operation;
  detail::check_dnnl(dnnl_matmul_desc_init(&operation, &a, &b, with_bias ? &bias : nullptr, &c), "plan",
                     subject);
  const detail::DnnlAttributes attributes = make_attributes(s, subject);
  return {detail::describe_operation(&operation, attributes.get(), nullptr, subject),
          {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, with_bias ? DNNL_ARG_BIAS : 0},
          subject};
}

bool plans_bfloat16() {
  const auto matrix = detail::matrix_layout(dnnl_bf16, 16, 16, 16, 1);
  const auto c = detail::matrix_layout(dnnl_f32, 16, 16, 16, 1);
  dnnl_matmul_desc_t operation;
  detail::check_dnnl(dnnl_matmul_desc_init(&operation, &matrix, &matrix, nullptr, &c), "plan",
                     "a bfloat16 product");
  dnnl_primitive_desc_t description = nullptr;
  const dnnl_status_t status = dnnl_primitive_desc_create(
      &description, &operation, nullptr, detail::DnnlThread::of_this_thread().engine(), nullptr);
  const detail::DnnlPrimitiveDesc owned(description);
  if (status == dnnl_unimplemented) return false;
  detail::check_dnnl(status, "plan", "a bfloat16 product");
  return true;
}

// A matrix as float32, its rows side by side; a thread's stays until its next one. The values are the same.
class Widened {
 public:
  const float* of(const bfloat16* from, index_t rows, index_t cols, index_t stride) {
    if (values_.count() < rows * cols) values_ = device::Buffer<float>(rows * cols);
    for (index_t row = 0; row < rows; ++row)
      std::transform(from + row * stride, from + row * stride + cols, values_.data() + row * cols, to_float);
    return values_.data();
  }

 private:
  device::Buffer<float> values_;
};

void multiply_by_primitive(const Key& key, const void* a, const void* b, float* c, const float* bias) {
  static thread_local detail::PlanCache<Key, detail::DnnlOperation, KeyHash> cache;
  cache.plan(key, build).run({a, b, c, bias});
  if (key.shape.epilogue == Epilogue::bias_relu) apply_relu(key.shape, c);
}

void multiply_float(const MatmulShape& shape, const float* a, const float* b, float* c, const float* bias) {
  const Key key{shape, dnnl_f32};
  if (shape.k >= smallest_inner_size_of_gemm) return multiply_by_gemm(key, a, b, c, bias);
  multiply_by_primitive(key, a, b, c, bias);
}

// For processors without AVX-512 oneDNN computes six rows at a time; of the rows that are left some are summed
// in another order, and so are all rows of larger calls. There a product is computed in calls of few sizes, all
// of them multiples of 24 rows, in which every row is summed in one order.
constexpr index_t rows_of_call = 96, rows_unit = 24;

bool rows_are_alike() {
  static const bool alike = product_instruction_set().starts_with("avx512");
  return alike;
}

// Rows of op(A) and of C at places that have room for a multiple of rows_unit.
class PaddedRows {
 public:
  void multiply(const MatmulShape& shape, const float* a, const float* b, float* c, const float* bias) {
    MatmulShape padded = shape;
    padded.m = (shape.m + rows_unit - 1) / rows_unit * rows_unit;
    const bool plain_a = shape.transpose_a == Transpose::no;
    padded.lda = plain_a ? shape.k : padded.m;
    padded.ldc = shape.n;
    if (a_.count() < padded.m * shape.k) a_ = device::Buffer<float>(padded.m * shape.k);
    if (c_.count() < padded.m * shape.n) c_ = device::Buffer<float>(padded.m * shape.n);
    std::fill_n(a_.data(), padded.m * shape.k, 0.0F);
    copy_rows(plain_a ? shape.m : shape.k, plain_a ? shape.k : shape.m, a, shape.lda, a_.data(), padded.lda);
    if (shape.accumulate) {
      std::fill_n(c_.data(), padded.m * shape.n, 0.0F);
      copy_rows(shape.m, shape.n, c, shape.ldc, c_.data(), padded.ldc);
    }
    multiply_float(padded, a_.data(), b, c_.data(), bias);
    copy_rows(shape.m, shape.n, c_.data(), padded.ldc, c, shape.ldc);
  }

 private:
  static void copy_rows(index_t rows, index_t cols, const float* from, index_t from_stride, float* to,
                        index_t to_stride) {
    for (index_t row = 0; row < rows; ++row) std::copy_n(from + row * from_stride, cols, to + row * to_stride);
  }

  device::Buffer<float> a_, c_;
};

// A row's bits depend on that row and B alone.
void multiply_rows_alike(const MatmulShape& shape, const float* a, const float* b, float* c,
                         const float* bias) {
  if (rows_are_alike()) return multiply_float(shape, a, b, c, bias);
  static thread_local PaddedRows padded;
  for (index_t first = 0; first < shape.m; first += rows_of_call) {
    MatmulShape some = shape;
    some.m = std::min(rows_of_call, shape.m - first);
    const float* const some_a = a + first * (shape.transpose_a == Transpose::no ? shape.lda : 1);
    float* const some_c = c + first * shape.ldc;
    if (some.m % rows_unit == 0) {
      multiply_float(some, some_a, b, some_c, bias);
    } else {
      padded.multiply(some, some_a, b, some_c, bias);
    }
  }
}

}  // namespace

void matmul(const MatmulShape& shape, const float* a, const float* b, float* c, const float* bias) {
  detail::check_shape(shape, bias);
  if (shape.m == 0 || shape.n == 0) return;
  if (shape.k == 0) return multiply_nothing(shape, c, bias);
  add_multiply_adds(shape.m * shape.n * shape.k);
  multiply_rows_alike(shape, a, b, c, bias);
}

void matmul(const MatmulShape& shape, const bfloat16* a, const bfloat16* b, float* c, const float* bias) {
  detail::check_shape(shape, bias);
  if (shape.m == 0 || shape.n == 0) return;
  if (shape.k == 0) return multiply_nothing(shape, c, bias);
  add_multiply_adds(shape.m * shape.n * shape.k);
  if (has_bfloat16_products()) return multiply_by_primitive({shape, dnnl_bf16}, a, b, c, bias);
  static thread_local Widened wide_a, wide_b;
  MatmulShape wide = shape;
  const bool plain_a = shape.transpose_a == Transpose::no, plain_b = shape.transpose_b == Transpose::no;
  wide.lda = plain_a ? shape.k : shape.m;
  wide.ldb = plain_b ? shape.n : shape.k;
  multiply_rows_alike(wide, wide_a.of(a, plain_a ? shape.m : shape.k, wide.lda, shape.lda),
                      wide_b.of(b, plain_b ? shape.k : shape.n, wide.ldb, shape.ldb), c, bias);
}

void matmul(const MatmulShape& shape, const std::int8_t* a, const std::int8_t* b, float* c) {
  detail::check_shape(shape, nullptr);
  if (shape.m == 0 || shape.n == 0) return;
  if (shape.k == 0) return multiply_nothing(shape, c, nullptr);
  add_multiply_adds(shape.m * shape.n * shape.k);
  multiply_by_primitive({shape, dnnl_s8}, a, b, c, nullptr);
}

bool has_bfloat16_products() {
  static const bool has = plans_bfloat16();
  return has;
}

std::string product_library() {
  const dnnl_version_t& version = *dnnl_version();
  return fmt::format("oneDNN {}.{}.{}", version.major, version.minor, version.patch);
}

std::string product_instruction_set() {
  std::string_view name = dnnl_cpu_isa2str(dnnl_get_effective_cpu_isa());
  if (constexpr std::string_view prefix = "cpu_isa_"; name.starts_with(prefix))
    name.remove_prefix(prefix.size());
  return std::string(name);
}

}  // namespace switchyard::ops
