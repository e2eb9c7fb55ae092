#include "ops/matmul.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "conformance/ops/executors.hpp"
#include "device/thread_pool.hpp"
#include "ops/convert.hpp"

namespace switchyard::ops {
namespace {

// Operands as stored: A is [m, k], or [k, m] if it is transposed, with rows further apart than they are long.
struct Case {
  MatmulShape shape;
  PaddedMatrix a, b, c;
  std::vector<float> bias;

  Case(index_t m, index_t n, index_t k, Transpose transpose_a, Transpose transpose_b)
      : a(stored(m, k, transpose_a, 1)),
        b(stored(k, n, transpose_b, 2)),
        c(random_values(m * n, 3), m, n, 5),
        bias(random_values(n, 4)) {
    shape = {m, n, k, a.view().stride, b.view().stride, c.view().stride, transpose_a, transpose_b};
  }

  // C as it should be, given what is in it now.
  reference::Array expected() const {
    const auto operand = [](const PaddedMatrix& x, Transpose t) {
      return t == Transpose::no ? to_array(x.view()) : transposed(to_array(x.view()));
    };
    reference::Array product = matmul(operand(a, shape.transpose_a), operand(b, shape.transpose_b));
    const reference::Array before = to_array(c.view());
    for (std::size_t i = 0; i < product.rows; ++i) {
      for (std::size_t j = 0; j < product.cols; ++j) {
        double& value = product(i, j);
        if (shape.accumulate) value += before(i, j);
        if (shape.epilogue != Epilogue::none) value += static_cast<double>(bias[j]);
        if (shape.epilogue == Epilogue::bias_relu) value = std::max(value, 0.0);
      }
    }
    return product;
  }
  const float* bias_or_null() const { return shape.epilogue == Epilogue::none ? nullptr : bias.data(); }

 private:
  static PaddedMatrix stored(index_t rows, index_t cols, Transpose transpose, unsigned seed) {
    // Guaranteed elision: PaddedMatrix does not move.
    return transpose == Transpose::no ? PaddedMatrix(random_values(rows * cols, seed), rows, cols, 3)
                                      : PaddedMatrix(random_values(rows * cols, seed), cols, rows, 3);
  }
};

// Any order of k float32 additions errs by at most about k 2^-24 sum |a| |b|, and here |a|, |b| are about 1
// with means of |a| |b| of 0.64; bias and old C add two roundings.
void expect_near(const Case& c, const reference::Array& expected) {
  const double tolerance =
      static_cast<double>(c.shape.k + 3) * 0x1p-24 * (static_cast<double>(c.shape.k) * 1.5 + 8);
  for (index_t i = 0; i < c.shape.m; ++i) {
    for (index_t j = 0; j < c.shape.n; ++j) {
      ASSERT_NEAR(static_cast<double>(c.c.view()(i, j)),
                  expected(static_cast<std::size_t>(i), static_cast<std::size_t>(j)), tolerance)
          << c.shape.m << " x " << c.shape.n << " x " << c.shape.k << " at " << i << ", " << j;
    }
  }
  EXPECT_TRUE(c.c.padding_is_untouched());
}

const index_t shapes[][3] = {{1, 1, 1},     {1, 7, 5},     {7, 1, 5},     {5, 7, 1},    {31, 33, 32},
                             {64, 64, 169}, {27, 64, 100}, {27, 64, 300}, {33, 5, 257}, {33, 10, 64},
                             {4, 100, 0},   {0, 4, 5},     {4, 0, 5}};

TEST(Matmul, equals_the_reference_in_every_arrangement) {
  for (const auto& [m, n, k] : shapes) {
    for (const Transpose transpose_a : {Transpose::no, Transpose::yes}) {
      for (const Transpose transpose_b : {Transpose::no, Transpose::yes}) {
        for (int variant = 0; variant < 4; ++variant) {
          Case c(m, n, k, transpose_a, transpose_b);
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

std::vector<bfloat16> rounded(PaddedMatrix& m) {
  std::vector<bfloat16> out;
  for (index_t i = 0; i < static_cast<index_t>(m.all().size()); ++i)
    out.push_back(to_bfloat16(m.view().data[i]));
  // The reference multiplies what the product really gets.
  for (index_t r = 0; r < m.view().rows; ++r)
    for (index_t col = 0; col < m.view().cols; ++col)
      m.view()(r, col) = to_float(to_bfloat16(m.view()(r, col)));
  return out;
}

TEST(Matmul, of_bfloat16_sums_in_float32) {
  for (const auto& [m, n, k] : shapes) {
    for (const Transpose transpose_a : {Transpose::no, Transpose::yes}) {
      for (const Transpose transpose_b : {Transpose::no, Transpose::yes}) {
        for (int variant = 0; variant < 3; ++variant) {
          Case c(m, n, k, transpose_a, transpose_b);
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

// Whole numbers in the range of int8 and at most 1 in the other operand, as integers and as what the reference
// multiplies.
std::vector<std::int8_t> whole(PaddedMatrix& m, float most) {
  std::vector<std::int8_t> out;
  for (index_t i = 0; i < static_cast<index_t>(m.all().size()); ++i) {
    float& value = m.view().data[i];
    if (i % m.view().stride < m.view().cols) value = std::clamp(std::nearbyint(value * most), -most - 1, most);
    out.push_back(static_cast<std::int8_t>(std::clamp(value, -128.0F, 127.0F)));
  }
  return out;
}

TEST(Matmul, of_int8_is_exact) {
  for (const auto& [m, n, k] : shapes) {
    for (const Transpose transpose_a : {Transpose::no, Transpose::yes}) {
      for (const Transpose transpose_b : {Transpose::no, Transpose::yes}) {
        Case c(m, n, k, transpose_a, transpose_b);
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
    Case c(5, 33, k, Transpose::no, Transpose::no);
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
