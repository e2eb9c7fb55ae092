// Operands of one matrix product in every arrangement, and what it should give.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "conformance/ops/executors.hpp"
#include "ops/convert.hpp"
#include "ops/matmul.hpp"

namespace switchyard::ops {

// Operands as stored: A is [m, k], or [k, m] if it is transposed, with rows further apart than they are long.
struct MatmulCase {
  MatmulShape shape;
  PaddedMatrix a, b, c;
  std::vector<float> bias;

  MatmulCase(index_t m, index_t n, index_t k, Transpose transpose_a, Transpose transpose_b)
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
inline void expect_near(const MatmulCase& c, const reference::Array& expected) {
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

inline constexpr index_t matmul_sizes[][3] = {
    {1, 1, 1},     {1, 7, 5},    {7, 1, 5},    {5, 7, 1},   {31, 33, 32}, {64, 64, 169}, {27, 64, 100},
    {27, 64, 300}, {33, 5, 257}, {33, 10, 64}, {4, 100, 0}, {0, 4, 5},    {4, 0, 5},     {70, 131, 35}};

inline std::vector<bfloat16> rounded(PaddedMatrix& m) {
  std::vector<bfloat16> out;
  for (index_t i = 0; i < static_cast<index_t>(m.all().size()); ++i)
    out.push_back(to_bfloat16(m.view().data[i]));
  // The reference multiplies what the product really gets.
  for (index_t r = 0; r < m.view().rows; ++r)
    for (index_t col = 0; col < m.view().cols; ++col)
      m.view()(r, col) = to_float(to_bfloat16(m.view()(r, col)));
  return out;
}

// Whole numbers in the range of int8 and at most 1 in the other operand, as integers and as what the reference
// multiplies.
inline std::vector<std::int8_t> whole(PaddedMatrix& m, float most) {
  std::vector<std::int8_t> out;
  for (index_t i = 0; i < static_cast<index_t>(m.all().size()); ++i) {
    float& value = m.view().data[i];
    if (i % m.view().stride < m.view().cols) value = std::clamp(std::nearbyint(value * most), -most - 1, most);
    out.push_back(static_cast<std::int8_t>(std::clamp(value, -128.0F, 127.0F)));
  }
  return out;
}

}  // namespace switchyard::ops
