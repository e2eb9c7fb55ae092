#include "ops/causal.hpp"

#include <cmath>

#include "conformance/ops/executors.hpp"

namespace switchyard::ops {
namespace {

// P of row-major scores [n, n], in float64; row i sees columns first[i] to i.
std::vector<double> softmax_of_seen(const std::vector<float>& scores, const std::vector<std::int32_t>& first,
                                    double scale) {
  const auto n = static_cast<index_t>(first.size());
  std::vector<double> p(as_size(n * n), 0.0);
  for (index_t i = 0; i < n; ++i) {
    double sum = 0;
    for (index_t j = first[as_size(i)]; j <= i; ++j)
      sum += p[as_size(i * n + j)] = std::exp(scale * scores[as_size(i * n + j)]);
    for (index_t j = 0; j <= i; ++j) p[as_size(i * n + j)] /= sum;
  }
  return p;
}

void expect_the_formula(const std::vector<std::int32_t>& first, CausalMask mask) {
  constexpr float scale = 0.3F;
  const auto n = static_cast<index_t>(first.size());
  const std::vector<float> scores = random_values(n * n, 1, 9.0F), d = random_values(n * n, 2);
  const auto got = on_every_executor("causal_softmax", [&](device::Context& context) {
    std::vector<float> p = scores, d_s = d;
    causal_softmax(context, mask, scale, {p.data(), n, n});
    causal_softmax_backward(context, mask, {p.data(), n, n}, scale, {d_s.data(), n, n});
    p.insert(p.end(), d_s.begin(), d_s.end());
    return p;
  });
  const std::vector<double> p = softmax_of_seen(scores, first, static_cast<double>(scale));
  for (index_t i = 0; i < n; ++i) {
    double along = 0;
    for (index_t j = 0; j <= i; ++j) along += p[as_size(i * n + j)] * d[as_size(i * n + j)];
    for (index_t j = 0; j < n; ++j) {
      const std::size_t at = as_size(i * n + j);
      const bool sees = j <= i && j >= first[as_size(i)];
      EXPECT_NEAR(static_cast<double>(got[at]), p[at], 1e-6);
      EXPECT_NEAR(static_cast<double>(got[as_size(n * n) + at]),
                  sees ? static_cast<double>(scale) * p[at] * (d[at] - along) : 0.0, 1e-6);
      if (!sees) {
        EXPECT_EQ(got[at], 0.0F);
      }
    }
  }
}

TEST(CausalSoftmax, equals_the_formula_forward_and_back) {
  for (const index_t n : {index_t{1}, index_t{5}, index_t{33}, index_t{130}}) {
    const std::vector<std::int32_t> from_the_beginning(as_size(n), 0);
    expect_the_formula(from_the_beginning, {});
    expect_the_formula(from_the_beginning, {from_the_beginning});
  }
}

TEST(CausalSoftmax, of_rows_that_do_not_see_the_first_columns) {
  std::vector<std::int32_t> first(70);
  for (std::size_t i = 0; i < first.size(); ++i) first[i] = i < 3 ? 0 : i < 41 ? 3 : i < 42 ? 41 : 42;
  expect_the_formula(first, {first});
}

// Whatever is behind a row, also what is no number, its probabilities have the same bits.
TEST(CausalSoftmax, does_not_look_ahead) {
  constexpr index_t n = 70;
  const std::vector<float> scores = random_values(n * n, 3, 9.0F);
  std::vector<float> p = scores, other = scores;
  for (index_t i = 0; i < n; ++i)
    for (index_t j = i + 1; j < n; ++j) other[as_size(i * n + j)] = j % 2 == 0 ? NAN : 1e30F;
  device::Context context(1);
  causal_softmax(context, {}, 0.5F, {p.data(), n, n});
  causal_softmax(context, {}, 0.5F, {other.data(), n, n});
  EXPECT_TRUE(same_bits(p, other));
}

TEST(Rotate, turns_pairs_by_their_position_and_back) {
  constexpr index_t positions = 5, heads = 3, width = 6, rows = 2 * positions, cols = heads * width + 4;
  const RotaryTable table = RotaryTable::make(positions, width, 100.0);
  const std::vector<float> x = random_values(rows * cols, 4);
  const auto got = on_every_executor("rotate", [&](device::Context& context) {
    std::vector<float> turned = x;
    rotate(context, table, heads, Turn::forward, {turned.data(), rows, cols});
    std::vector<float> back = turned;
    rotate(context, table, heads, Turn::backward, {back.data(), rows, cols});
    turned.insert(turned.end(), back.begin(), back.end());
    return turned;
  });
  for (index_t r = 0; r < rows; ++r) {
    for (index_t c = 0; c < cols; ++c) {
      const std::size_t at = as_size(r * cols + c);
      EXPECT_NEAR(got[x.size() + at], x[at], 1e-6) << "turned back";
      if (c >= heads * width) {
        EXPECT_EQ(got[at], x[at]) << "what is no head";
        continue;
      }
      const index_t i = c % width % (width / 2);
      const bool first = c % width < width / 2;
      const double angle =
          static_cast<double>(r % positions) * std::pow(100.0, -static_cast<double>(i) / (width / 2));
      const double other = x[first ? at + width / 2 : at - width / 2];
      EXPECT_NEAR(got[at], x[at] * std::cos(angle) + (first ? -other : other) * std::sin(angle), 1e-6);
    }
  }
}

TEST(Rotate, leaves_products_to_the_distance_of_positions) {
  constexpr index_t positions = 40, width = 16;
  const RotaryTable table = RotaryTable::make(positions, width, 10'000.0);
  const std::vector<float> q = random_values(width, 5), k = random_values(width, 6);
  const auto at = [&](const std::vector<float>& vector, index_t position) {
    std::vector<float> rows(as_size(positions * width), 0.0F);
    std::ranges::copy(vector, rows.begin() + position * width);
    device::Context context(1);
    rotate(context, table, 1, Turn::forward, {rows.data(), positions, width});
    return std::vector<float>(rows.begin() + position * width, rows.begin() + (position + 1) * width);
  };
  const auto product = [&](index_t p, index_t s) {
    double sum = 0;
    for (std::size_t i = 0; i < as_size(width); ++i) sum += static_cast<double>(at(q, p)[i]) * at(k, s)[i];
    return sum;
  };
  EXPECT_NEAR(product(7, 3), product(39, 35), 1e-5);
  EXPECT_GT(std::abs(product(7, 3) - product(7, 2)), 1e-3);
}

// Rows that go on a sequence are its rows of those positions, and further ones copies of the last.
TEST(Places, of_rows_are_those_of_the_whole_sequence) {
  constexpr index_t n = 40, heads = 2, width = 6, cols = heads * width, rows = 12;
  const RotaryTable table = RotaryTable::make(n, width, 100.0);
  const std::vector<float> scores = random_values(n * n, 5, 9.0F), x = random_values(n * cols, 6);
  std::vector<std::int32_t> first(as_size(n));
  for (std::size_t i = 0; i < first.size(); ++i) first[i] = i < 5 ? 0 : 5;
  device::Context one_thread(1);
  std::vector<float> p = scores, turned = x;
  causal_softmax(one_thread, {first}, 0.5F, {p.data(), n, n});
  rotate(one_thread, table, heads, Turn::forward, {turned.data(), n, cols});
  for (const Places places : {Places{0, 3}, Places{7, 1}, Places{28, 12}}) {
    const auto rows_of = [&]<class T>(const std::vector<T>& all, index_t columns) {
      std::vector<T> some;
      for (index_t r = 0; r < rows; ++r) {
        const index_t position = places.first + std::min(r, places.count - 1);
        some.insert(some.end(), all.begin() + position * columns, all.begin() + (position + 1) * columns);
      }
      return some;
    };
    const std::vector<std::int32_t> first_of_rows = rows_of(first, 1);
    const auto got = on_every_executor("places", [&](device::Context& context) {
      std::vector<float> of_scores = rows_of(scores, n), of_x = rows_of(x, cols);
      causal_softmax(context, {first_of_rows, places}, 0.5F, {of_scores.data(), rows, n});
      rotate(context, table, heads, Turn::forward, {of_x.data(), rows, cols}, places);
      of_scores.insert(of_scores.end(), of_x.begin(), of_x.end());
      return of_scores;
    });
    std::vector<float> expected = rows_of(p, n);
    const std::vector<float> of_x = rows_of(turned, cols);
    expected.insert(expected.end(), of_x.begin(), of_x.end());
    EXPECT_TRUE(same_bits(got, expected)) << "from " << places.first;
  }
}

// Heads one behind the other have the bits of each alone: here the last of one sequence, both of the next and
// the first of a third.
TEST(CausalSoftmax, of_several_heads_is_each_heads_own) {
  constexpr index_t n = 37, heads = 2, first_head = 1, count = 4;
  constexpr float scale = 0.4F;
  std::vector<std::int32_t> first(3 * n);
  for (index_t i = 0; i < std::ssize(first); ++i)
    first[as_size(i)] = static_cast<std::int32_t>(i % n < 5 + i / n ? 0 : 5 + i / n);
  const std::vector<float> scores = random_values(count * n * n, 1, 9.0F), d = random_values(count * n * n, 2);
  for (const bool across_documents : {false, true}) {
    const auto mask = [&](index_t begin, index_t rows) {
      return across_documents ? CausalMask{}
                              : CausalMask{.first = Span<const std::int32_t>(first).subspan(begin, rows)};
    };
    const auto together = on_every_executor("causal_softmax of heads", [&](device::Context& context) {
      std::vector<float> p = scores, d_s = d;
      CausalMask of_all = mask(0, 3 * n);
      of_all.rows = n;
      of_all.heads = heads;
      of_all.first_head = first_head;
      causal_softmax(context, of_all, scale, {p.data(), count * n, n});
      causal_softmax_backward(context, of_all, {p.data(), count * n, n}, scale, {d_s.data(), count * n, n});
      p.insert(p.end(), d_s.begin(), d_s.end());
      return p;
    });
    device::Context context(1);
    std::vector<float> p = scores, d_s = d;
    for (index_t head = 0; head < count; ++head) {
      const CausalMask own = mask((first_head + head) / heads * n, n);
      float* const of_head = p.data() + head * n * n;
      causal_softmax(context, own, scale, {of_head, n, n});
      causal_softmax_backward(context, own, {of_head, n, n}, scale, {d_s.data() + head * n * n, n, n});
    }
    p.insert(p.end(), d_s.begin(), d_s.end());
    EXPECT_TRUE(same_bits(together, p)) << "across documents " << across_documents;
  }
}

}  // namespace
}  // namespace switchyard::ops
