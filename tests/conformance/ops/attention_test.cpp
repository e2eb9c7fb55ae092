#include "ops/moe/attention.hpp"

#include <cmath>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "conformance/ops/executors.hpp"
#include "numerics/ops/differences.hpp"
#include "support/row_places.hpp"

namespace switchyard::ops {
namespace {

struct Size {
  index_t samples, experts, width;
};
const Size sizes[] = {{3, 5, 1},  {2, 1, 32},  {3, 4, 33}, {2, 33, 31}, {1, 2, 2},
                      {4, 3, 64}, {2, 2, 100}, {2, 1, 1},  {0, 5, 32}};

std::string describe(const Size& s) {
  return std::to_string(s.samples) + " samples, " + std::to_string(s.experts) + " experts, width " +
         std::to_string(s.width);
}

// The last place of a float32, relative.
constexpr double rounding = 0x1p-24;

// Hidden vectors lie in an order that is not that of memory, as they do after an exchange.
struct AttentionData {
  Size size;
  std::vector<float> u, hidden, d_scores;
  test::RowPlaces<const float> rows;
  PaddedMatrix u_rows;

  explicit AttentionData(const Size& size_in)
      : size(size_in),
        u(random_values(size.samples * size.width, 1)),
        hidden(random_values(size.samples * size.experts * size.width, 2)),
        d_scores(random_values(size.samples * size.experts, 3)),
        u_rows(u, size.samples, size.width, 3) {
    for (index_t i = 0; i < slots(); ++i) rows.push_back(hidden.data() + (slots() - 1 - i) * size.width);
  }
  index_t slots() const { return size.samples * size.experts; }
  AttentionBatch batch() const { return {u_rows.view(), rows.view(size.width), size.experts}; }

  std::vector<double> query(index_t n) const {
    return {u.begin() + n * size.width, u.begin() + (n + 1) * size.width};
  }
  // [E][d], flat
  std::vector<double> keys(index_t n) const {
    std::vector<double> values;
    for (index_t i = 0; i < size.experts; ++i) {
      const float* const row = rows[as_size(n * size.experts + i)];
      values.insert(values.end(), row, row + size.width);
    }
    return values;
  }
};

std::vector<double> absolute(std::vector<double> values) {
  for (double& v : values) v = std::abs(v);
  return values;
}

TEST(AttentionScores, equal_the_reference_on_every_executor) {
  for (const Size& size : sizes) {
    SCOPED_TRACE(describe(size));
    const AttentionData data(size);
    const std::vector<float> got = on_every_executor("attention_scores", [&](device::Context& context) {
      const PaddedMatrix scores(size.samples, size.experts, 2);
      attention_scores(context, data.batch(), scores.view());
      EXPECT_TRUE(scores.padding_is_untouched());
      std::vector<float> dense;
      for (index_t n = 0; n < size.samples; ++n)
        dense.insert(dense.end(), scores.view().row(n), scores.view().row(n) + size.experts);
      return dense;
    });
    for (index_t n = 0; n < size.samples; ++n) {
      const auto expected = reference::attention_scores(data.query(n), data.keys(n));
      const auto magnitude = reference::attention_scores(absolute(data.query(n)), absolute(data.keys(n)));
      for (index_t i = 0; i < size.experts; ++i) {
        // A product, at most four terms a lane and five levels of lanes, the scale and its own rounding.
        ASSERT_NEAR(got[as_size(n * size.experts + i)], expected[as_size(i)],
                    12 * rounding * magnitude[as_size(i)]);
      }
    }
  }
}

struct Gradients {
  std::vector<float> d_u, d_hidden;
};

Gradients backward(device::Context& context, const AttentionData& data) {
  const Size& size = data.size;
  const PaddedMatrix d_scores(data.d_scores, size.samples, size.experts, 1);
  const PaddedMatrix d_u(size.samples, size.width, 4);
  const PaddedMatrix d_hidden(data.slots(), size.width, 2);
  test::RowPlaces<float> rows;
  for (index_t i = 0; i < data.slots(); ++i) rows.push_back(d_hidden.view().row((i + 1) % data.slots()));
  attention_backward(context, data.batch(), d_scores.view(), {d_u.view(), rows.view(size.width)});
  EXPECT_TRUE(d_u.padding_is_untouched() && d_hidden.padding_is_untouched());
  Gradients all;
  for (index_t n = 0; n < size.samples; ++n)
    all.d_u.insert(all.d_u.end(), d_u.view().row(n), d_u.view().row(n) + size.width);
  for (const float* const row : rows) all.d_hidden.insert(all.d_hidden.end(), row, row + size.width);
  return all;
}

// Of sum_i d_i a_i, by every element of the query and of the hidden vectors.
TEST(AttentionBackward, equals_the_differences_of_the_scores) {
  device::Context context(1);
  for (const Size& size : sizes) {
    SCOPED_TRACE(describe(size));
    const AttentionData data(size);
    const Gradients got = backward(context, data);
    for (index_t n = 0; n < size.samples; ++n) {
      std::vector<double> u = data.query(n);
      std::vector<double> h = data.keys(n);
      const auto value = [&] {
        const std::vector<double> scores = reference::attention_scores(u, h);
        double sum = 0;
        for (std::size_t i = 0; i < scores.size(); ++i)
          sum += static_cast<double>(data.d_scores[as_size(n * size.experts) + i]) * scores[i];
        return sum;
      };
      const std::vector<double> d_u = testing::central_differences(u, value);
      const std::vector<double> d_h = testing::central_differences(h, value);
      // Up to 33 terms of size 1 in float32, and differences of a linear function in float64.
      for (std::size_t c = 0; c < d_u.size(); ++c)
        ASSERT_NEAR(got.d_u[as_size(n * size.width) + c], d_u[c], 4e-6 * (1 + std::abs(d_u[c]))) << "d_u " << c;
      for (std::size_t i = 0; i < d_h.size(); ++i) {
        ASSERT_NEAR(got.d_hidden[as_size(n * size.experts * size.width) + i], d_h[i],
                    1e-6 * (1 + std::abs(d_h[i])))
            << "d_hidden " << i;
      }
    }
  }
}

TEST(AttentionBackward, has_the_same_bits_on_every_executor) {
  for (const Size& size : sizes) {
    const AttentionData data(size);
    on_every_executor(describe(size), [&](device::Context& context) {
      Gradients all = backward(context, data);
      all.d_u.insert(all.d_u.end(), all.d_hidden.begin(), all.d_hidden.end());
      return all.d_u;
    });
  }
}

TEST(Attention, refuses_views_that_do_not_fit) {
  device::Context context(1);
  const AttentionData data({2, 3, 4});
  std::vector<float> values(24, 7.0F);
  const test::RowPlaces<float> rows(6, values.data());
  const auto matrix = [&](index_t r, index_t c) { return tensor::Matrix(values.data(), r, c); };
  EXPECT_THROW(attention_scores(context, data.batch(), matrix(2, 4)), ContractViolation);
  EXPECT_THROW(attention_scores(context, data.batch(), matrix(1, 3)), ContractViolation);
  EXPECT_THROW(attention_backward(context, data.batch(), matrix(3, 2), {matrix(2, 4), rows.view(4)}),
               ContractViolation);
  EXPECT_THROW(attention_backward(context, data.batch(), matrix(2, 3), {matrix(2, 3), rows.view(3)}),
               ContractViolation);
  // 1 / sqrt(0) has no value.
  EXPECT_THROW(attention_scores(context, {matrix(2, 0), data.rows.view(1), 3}, matrix(2, 3)),
               ContractViolation);
  EXPECT_THROW(attention_scores(context, {matrix(2, 4), data.rows.view(4), 0}, matrix(2, 0)),
               ContractViolation);
  EXPECT_EQ(values, std::vector<float>(24, 7.0F));
}

}  // namespace
}  // namespace switchyard::ops
