#include "ops/kernels/rows.hpp"
#include "device/launch.hpp"
#include "ops/rows.hpp"

#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "conformance/ops/executors.hpp"

namespace switchyard::ops {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

// Calls check(rows, cols, stride padding) for sizes around the lanes of a team; concurrent teams are slow, so
// there are few rows.
template <class Check>
void for_each_size(const Check& check) {
  for (const index_t cols : edge_sizes) {
    for (const index_t padding : {0, 3}) check(cols == 33 ? index_t{5} : index_t{2}, cols, padding);
  }
  check(0, 5, 0);
}

// op(context, in, out) on every executor, with rows apart.
template <class Op>
std::vector<float> run_rows(const char* what, const std::vector<float>& values, index_t rows, index_t cols,
                            index_t padding, const Op& op) {
  return on_every_executor(what, [&](device::Context& context) {
    const PaddedMatrix in(values, rows, cols, padding);
    const PaddedMatrix out(rows, cols, padding + 1);
    op(context, in.view(), out.view());
    EXPECT_TRUE(in.padding_is_untouched() && out.padding_is_untouched());
    std::vector<float> dense;
    for (index_t r = 0; r < rows; ++r) dense.insert(dense.end(), out.view().row(r), out.view().row(r) + cols);
    return dense;
  });
}

void expect_near(const std::vector<float>& got, const reference::Array& expected, double relative,
                 double absolute) {
  ASSERT_EQ(got.size(), expected.values.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(got[i]), expected.values[i],
                relative * std::abs(expected.values[i]) + absolute);
  }
}

TEST(Softmax, equals_the_reference) {
  for_each_size([](index_t rows, index_t cols, index_t padding) {
    const std::vector<float> x = random_values(rows * cols, 1, 5.0F);
    const auto p = run_rows("softmax", x, rows, cols, padding, softmax);
    // exp of a difference up to about 40 whose rounding is 2^-20, its own ulp, a sum of at most 4 terms a lane.
    expect_near(p, reference::softmax(to_array({x.data(), rows, cols})), 4e-6, 1e-37);
  });
}

TEST(Softmax, works_in_place) {
  const std::vector<float> x = random_values(4 * 33, 1);
  device::Context context(1);
  std::vector<float> apart(x.size()), in_place = x;
  softmax(context, {x.data(), 4, 33}, {apart.data(), 4, 33});
  softmax(context, {in_place.data(), 4, 33}, {in_place.data(), 4, 33});
  EXPECT_TRUE(same_bits(in_place, apart));
}

TEST(Softmax, of_huge_logits_does_not_overflow) {
  const std::vector<float> x = {3e38F, 3e38F, -3e38F, 0.0F};
  const auto p = run_rows("softmax", x, 1, 4, 0, softmax);
  EXPECT_EQ(p, (std::vector<float>{0.5F, 0.5F, 0.0F, 0.0F}));
}

TEST(LogSoftmax, equals_the_reference) {
  for_each_size([](index_t rows, index_t cols, index_t padding) {
    const std::vector<float> x = random_values(rows * cols, 2, 5.0F);
    const auto y = run_rows("log_softmax", x, rows, cols, padding, log_softmax);
    // Two roundings of values up to about 40: 2 * 2^-24 * 40, and the logarithm of a sum that is good to 1e-6.
    expect_near(y, reference::log_softmax(to_array({x.data(), rows, cols})), 2e-7, 2e-6);
  });
}

// Short rows are taken in blocks: a row's bits are those that it has alone, in the lanes of a team.
TEST(LogSoftmax, of_few_has_the_bits_of_a_row_alone) {
  for (const index_t cols : {1, 2, 8, 10, 16, 17, 31, 32}) {
    const index_t rows = 130;
    std::vector<float> x = random_values(rows * cols, 7, 5.0F);
    x[as_size(3 * cols)] = -std::numeric_limits<float>::infinity();
    std::vector<float> alone(x.size());
    device::Context context(1);
    device::for_each_row(context, rows,
                         kernels::LogSoftmax{{x.data(), rows, cols}, {alone.data(), rows, cols}});
    std::vector<float> in_place = x;
    log_softmax(context, {in_place.data(), rows, cols}, {in_place.data(), rows, cols});
    EXPECT_TRUE(same_bits(in_place, alone)) << cols;
  }
}

TEST(LogSoftmaxBackward, equals_the_formula) {
  for_each_size([](index_t rows, index_t cols, index_t padding) {
    const std::vector<float> x = random_values(rows * cols, 3), d = random_values(rows * cols, 4);
    reference::Array y = reference::log_softmax(to_array({x.data(), rows, cols}));
    std::vector<float> y_float(y.values.begin(), y.values.end());
    const auto d_x = run_rows("log_softmax_backward", d, rows, cols, padding,
                              [&](device::Context& context, tensor::ConstMatrix d_y, tensor::Matrix out) {
                                log_softmax_backward(context, {y_float.data(), rows, cols}, d_y, out);
                              });
    reference::Array expected(static_cast<std::size_t>(rows), static_cast<std::size_t>(cols));
    for (std::size_t r = 0; r < expected.rows; ++r) {
      double sum = 0;
      for (std::size_t c = 0; c < expected.cols; ++c) sum += static_cast<double>(d[r * expected.cols + c]);
      for (std::size_t c = 0; c < expected.cols; ++c) {
        expected(r, c) = static_cast<double>(d[r * expected.cols + c]) - std::exp(y(r, c)) * sum;
      }
    }
    expect_near(d_x, expected, 1e-6, 5e-6);  // sums of up to 100 values near 1, times p
  });
}

std::vector<std::int32_t> run_top_k(const std::vector<float>& x, index_t rows, index_t cols, index_t k) {
  return on_every_executor("top_k", [&](device::Context& context) {
    const PaddedMatrix in(x, rows, cols, 2);
    std::vector<std::int32_t> experts(static_cast<std::size_t>(rows * k), -1);
    top_k(context, in.view(), k, experts.data());
    return experts;
  });
}

TEST(TopK, equals_a_stable_sort) {
  for (const index_t cols : edge_sizes) {
    for (const index_t k : {index_t{0}, index_t{1}, index_t{2}, cols}) {
      if (k > cols || k > 40) continue;
      std::vector<float> x = random_values(3 * cols, 5);
      for (float& v : x) v = std::round(v * 2) / 2;  // many ties
      const auto expected = reference::top_k(to_array({x.data(), 3, cols}), static_cast<std::size_t>(k));
      std::vector<std::int32_t> flat;
      for (const auto& row : expected) flat.insert(flat.end(), row.begin(), row.end());
      EXPECT_EQ(run_top_k(x, 3, cols, k), flat) << cols << " columns, k = " << k;
    }
  }
}

// One of each row is found for a block of rows together: fuller and emptier blocks, of few columns and of many.
TEST(TopK, of_one_does_not_depend_on_the_other_rows) {
  for (const index_t rows : {1, 17, 65}) {
    for (const index_t cols : {1, 16, 17, 256, 257}) {
      std::vector<float> x = random_values(rows * cols, 8);
      for (float& v : x) v = std::round(v * 20) / 20;
      if (cols > 2) x[0] = x[as_size(rows * cols - 1)] = nan;
      const std::vector<std::int32_t> best = run_top_k(x, rows, cols, 1);
      for (index_t r = 0; r < rows; ++r) {
        const float* const row = x.data() + r * cols;
        index_t expected = 0;
        for (index_t c = 1; c < cols; ++c)
          if (row[c] > row[expected] || (row[c] == row[c] && row[expected] != row[expected])) expected = c;
        ASSERT_EQ(best[as_size(r)], expected) << rows << " x " << cols << ", row " << r;
      }
    }
  }
}

TEST(TopK, counts_nan_and_minus_infinity_as_smallest) {
  EXPECT_EQ(run_top_k({nan, 1.0F, -infinity, 2.0F, nan}, 1, 5, 5), (std::vector<std::int32_t>{3, 1, 0, 2, 4}));
  EXPECT_EQ(run_top_k({nan, nan, nan}, 1, 3, 2), (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(run_top_k({0.0F, infinity, infinity}, 1, 3, 2), (std::vector<std::int32_t>{1, 2}));
}

TEST(TopK, refuses_more_than_there_are) {
  device::Context context(1);
  const std::vector<float> x(3);
  std::vector<std::int32_t> experts(8);
  EXPECT_THROW(top_k(context, {x.data(), 1, 3}, 4, experts.data()), ContractViolation);
}

TEST(ReluBackward, cuts_where_the_output_is_zero) {
  for_each_size([](index_t rows, index_t cols, index_t padding) {
    std::vector<float> y = random_values(rows * cols, 6);
    for (float& v : y) v = std::max(v, 0.0F);
    const std::vector<float> d = random_values(rows * cols, 7);
    const auto got = run_rows("relu_backward", y, rows, cols, padding,
                              [&](device::Context& context, tensor::ConstMatrix out, tensor::Matrix gradient) {
                                for (index_t r = 0; r < rows; ++r)
                                  std::copy_n(d.data() + r * cols, cols, gradient.row(r));
                                relu_backward(context, out, gradient, gradient);
                              });
    for (std::size_t i = 0; i < y.size(); ++i) ASSERT_EQ(got[i], y[i] > 0 ? d[i] : 0.0F);
  });
}

TEST(ReluBackward, works_out_of_place) {
  for_each_size([](index_t rows, index_t cols, index_t padding) {
    std::vector<float> y = random_values(rows * cols, 6);
    for (float& v : y) v = std::max(v, 0.0F);
    const std::vector<float> d = random_values(rows * cols, 7);
    const auto got = run_rows("relu_backward", y, rows, cols, padding,
                              [&](device::Context& context, tensor::ConstMatrix out, tensor::Matrix d_x) {
                                const PaddedMatrix d_y(d, rows, cols, padding + 2);
                                const std::vector<float> before = d_y.all();
                                relu_backward(context, out, d_y.view(), d_x);
                                EXPECT_TRUE(same_bits(d_y.all(), before));
                              });
    for (std::size_t i = 0; i < y.size(); ++i) ASSERT_EQ(got[i], y[i] > 0 ? d[i] : 0.0F);
  });
}

// A NaN goes through, so that whoever looks for one finds it.
TEST(Relu, is_the_larger_of_a_number_and_zero) {
  for_each_size([](index_t rows, index_t cols, index_t padding) {
    std::vector<float> x = random_values(rows * cols, 10);
    if (x.size() > 1) x[1] = nan;
    const auto y = run_rows("relu", x, rows, cols, padding, relu);
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (std::isnan(x[i])) {
        ASSERT_TRUE(std::isnan(y[i]));
      } else {
        ASSERT_EQ(y[i], std::max(x[i], 0.0F));
      }
    }
  });
}

TEST(Add, adds_to_what_is_there) {
  for_each_size([](index_t rows, index_t cols, index_t padding) {
    const std::vector<float> x = random_values(rows * cols, 11), y = random_values(rows * cols, 12);
    const auto got = run_rows("add", x, rows, cols, padding,
                              [&](device::Context& context, tensor::ConstMatrix in, tensor::Matrix sum) {
                                for (index_t r = 0; r < rows; ++r)
                                  std::copy_n(y.data() + r * cols, cols, sum.row(r));
                                add(context, in, sum);
                              });
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(got[i], y[i] + x[i]);
  });
}

TEST(Rows, of_another_shape_are_refused) {
  device::Context context(1);
  std::vector<float> values(6);
  const tensor::Matrix fits(values.data(), 2, 3);
  const tensor::Matrix turned(values.data(), 3, 2);
  EXPECT_THROW(relu(context, fits, turned), ContractViolation);
  EXPECT_THROW(add(context, fits, turned), ContractViolation);
  EXPECT_THROW(relu_backward(context, fits, turned, fits), ContractViolation);
  EXPECT_THROW(relu_backward(context, fits, fits, turned), ContractViolation);
}

TEST(ColumnSums, are_float64_sums_rounded_once) {
  for (const index_t rows : {0, 1, 7, 100}) {
    for (const index_t cols : {0, 1, 33, 127, 128, 129, 300}) {
      const std::vector<float> x = random_values(rows * cols, 8);
      const auto sums = on_every_executor("column_sums", [&](device::Context& context) {
        const PaddedMatrix in(x, rows, cols, 1);
        std::vector<float> out(static_cast<std::size_t>(cols), -1.0F);
        column_sums(context, in.view(), out);
        return out;
      });
      const auto expected = reference::column_sums(to_array({x.data(), rows, cols}));
      ASSERT_EQ(sums, std::vector<float>(expected.begin(), expected.end())) << rows << " x " << cols;
    }
  }
}

// From two places, in any order.
TEST(GatherRows, copies_rows_by_an_index) {
  const index_t cols = 33;
  const std::vector<float> x = random_values(4 * cols, 9);
  const std::vector<index_t> order = {3, 0, 0, 2, 1};
  const std::vector<std::int32_t> index = {-2, 0, 0, -1, 1};  // rows 2 and 3 are those of the second place
  const tensor::RowSource source(index.data(), 5, tensor::ConstMatrix(x.data(), 2, cols),
                                 tensor::ConstMatrix(x.data() + 2 * cols, 2, cols));
  const auto out = run_rows("gather_rows", std::vector<float>(5 * cols), 5, cols, 2,
                            [&](device::Context& context, tensor::ConstMatrix, tensor::Matrix to) {
                              gather_rows(context, source, to);
                            });
  for (std::size_t i = 0; i < out.size(); ++i) {
    ASSERT_EQ(out[i], x[static_cast<std::size_t>(order[i / cols] * cols) + i % cols]);
  }
}

TEST(AllFinite, finds_one_bad_element_anywhere) {
  const index_t rows = 3, cols = 70;
  const auto is_finite = [&](const std::vector<float>& x) {
    return on_every_executor("all_finite", [&](device::Context& context) {
             const PaddedMatrix in(x, rows, cols, 1);
             return std::vector<int>{all_finite(context, in.view()) ? 1 : 0};
           })[0] == 1;
  };
  std::vector<float> x(static_cast<std::size_t>(rows * cols), std::numeric_limits<float>::max());
  EXPECT_TRUE(is_finite(x));
  for (const std::size_t place : {std::size_t{0}, x.size() / 2, x.size() - 1}) {
    for (const float bad : {nan, infinity, -infinity}) {
      std::vector<float> broken = x;
      broken[place] = bad;
      EXPECT_FALSE(is_finite(broken)) << bad << " at " << place;
    }
  }
  device::Context context(1);
  EXPECT_TRUE(all_finite(context, tensor::ConstMatrix(nullptr, 0, 5)));
}

}  // namespace
}  // namespace switchyard::ops
