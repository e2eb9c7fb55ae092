#include "ops/matmul.hpp"

#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "conformance/ops/matmul_case.hpp"
#include "device/thread_pool.hpp"

namespace switchyard::ops {
namespace {

TEST(Matmul, equals_the_reference_in_every_arrangement) {
  for (const auto& [m, n, k] : matmul_sizes) {
    for (const Transpose transpose_a : {Transpose::no, Transpose::yes}) {
      for (const Transpose transpose_b : {Transpose::no, Transpose::yes}) {
        for (int variant = 0; variant < 4; ++variant) {
          MatmulCase c(m, n, k, transpose_a, transpose_b);
          c.shape.accumulate = variant == 1;
          c.shape.epilogue =
              variant == 2 ? Epilogue::bias : (variant == 3 ? Epilogue::bias_relu : Epilogue::none);
          const reference::Array expected = c.expected();
          matmul(c.shape, c.a.view().data, c.b.view().data, c.c.view().data, c.bias_or_null());
          expect_near(c, expected);
        }
      }
    }
  }
}

TEST(Matmul, of_bfloat16_sums_in_float32) {
  for (const auto& [m, n, k] : matmul_sizes) {
    for (const Transpose transpose_a : {Transpose::no, Transpose::yes}) {
      for (const Transpose transpose_b : {Transpose::no, Transpose::yes}) {
        for (int variant = 0; variant < 3; ++variant) {
          MatmulCase c(m, n, k, transpose_a, transpose_b);
          c.shape.accumulate = variant == 1;
          c.shape.epilogue = variant == 2 ? Epilogue::bias_relu : Epilogue::none;
          const std::vector<bfloat16> a = rounded(c.a), b = rounded(c.b);
          const reference::Array expected = c.expected();
          matmul(c.shape, a.data(), b.data(), c.c.view().data, c.bias_or_null());
          expect_near(c, expected);
        }
      }
    }
  }
}

TEST(Matmul, of_int8_is_exact) {
  for (const auto& [m, n, k] : matmul_sizes) {
    for (const Transpose transpose_a : {Transpose::no, Transpose::yes}) {
      for (const Transpose transpose_b : {Transpose::no, Transpose::yes}) {
        MatmulCase c(m, n, k, transpose_a, transpose_b);
        const std::vector<std::int8_t> a = whole(c.a, 127), b = whole(c.b, 1);
        const reference::Array expected = c.expected();
        matmul(c.shape, a.data(), b.data(), c.c.view().data);
        for (index_t i = 0; i < m; ++i) {
          for (index_t j = 0; j < n; ++j)
            ASSERT_EQ(static_cast<double>(c.c.view()(i, j)), expected(as_size(i), as_size(j)));
        }
        EXPECT_TRUE(c.c.padding_is_untouched());
      }
    }
  }
}

TEST(Matmul, in_tasks_of_a_pool_gives_the_bits_of_one_thread) {
  const index_t m = 64, n = 96, k = 169, tasks = 24;
  const std::vector<float> a = random_values(tasks * m * k, 1), b = random_values(k * n, 2);
  const auto run = [&](device::Context& context) {
    std::vector<float> c(static_cast<std::size_t>(tasks * m * n));
    for (int repeat = 0; repeat < 3; ++repeat) {
      context.pool().parallel_for(tasks, [&](index_t t) {
        matmul({.m = m, .n = n, .k = k, .lda = k, .ldb = n, .ldc = n}, a.data() + t * m * k, b.data(),
               c.data() + t * m * n);
      });
    }
    return c;
  };
  on_every_executor("24 products", run);
}

TEST(Matmul, refuses_what_it_cannot_mean) {
  const std::vector<float> a(16), b(16);
  std::vector<float> c(16);
  const MatmulShape good{.m = 4, .n = 4, .k = 4, .lda = 4, .ldb = 4, .ldc = 4};
  const auto refused = [&](MatmulShape shape, const float* bias = nullptr) {
    EXPECT_THROW(matmul(shape, a.data(), b.data(), c.data(), bias), ContractViolation);
  };
  MatmulShape shape = good;
  shape.lda = 3;
  refused(shape);
  shape = good;
  shape.m = -1;
  refused(shape);
  shape = good;
  shape.k = shape.lda = index_t{1} << 40;  // divides by zero inside oneDNN 2.6
  refused(shape);
  shape = good;
  shape.epilogue = Epilogue::bias;
  refused(shape);           // no bias given
  refused(good, b.data());  // a bias without an epilogue
  shape.accumulate = true;
  refused(shape, b.data());
}

// Of every way to multiply: by the primitive (short sums), by gemm (long ones), no sum at all.
TEST(Matmul, relu_lets_a_nan_through) {
  for (const index_t k : {0, 1, 8, 64, 300}) {
    MatmulCase c(5, 33, k, Transpose::no, Transpose::no);
    c.shape.epilogue = Epilogue::bias_relu;
    c.bias[7] = std::numeric_limits<float>::quiet_NaN();
    c.bias[9] = -std::numeric_limits<float>::infinity();
    matmul(c.shape, c.a.view().data, c.b.view().data, c.c.view().data, c.bias_or_null());
    for (index_t i = 0; i < c.shape.m; ++i) {
      EXPECT_TRUE(std::isnan(c.c.view()(i, 7))) << "k " << k;
      EXPECT_EQ(c.c.view()(i, 9), 0.0F) << "k " << k;
      EXPECT_FALSE(std::isnan(c.c.view()(i, 8))) << "k " << k;
    }
  }
}

}  // namespace
}  // namespace switchyard::ops
