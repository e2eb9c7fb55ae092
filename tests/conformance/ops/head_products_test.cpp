#include "ops/head_products.hpp"

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "conformance/ops/executors.hpp"

namespace switchyard::ops {
namespace {

// Three sequences of `window` rows and two heads each, side by side in rows with something between them; of
// those the heads 1 to 4.
struct Sequences {
  static constexpr index_t sequences = 3, heads = 2, first = 1, count = 4;

  Sequences(index_t window_in, index_t width_in, unsigned seed)
      : window(window_in), width(width_in), values(random_values(sequences * window * stride(), seed)) {}

  index_t window, width;
  std::vector<float> values;

  index_t stride() const { return heads * width + 3; }
  HeadMatrices matrices(std::vector<float>& of) const {
    return {.data = of.data(),
            .rows = window,
            .cols = width,
            .stride = stride(),
            .heads = heads,
            .head_apart = width,
            .sequence_apart = window * stride(),
            .first = first};
  }
  double at(index_t i, index_t row, index_t col) const {
    const index_t head = first + i;
    return values[as_size((head / heads * window + row) * stride() + head % heads * width + col)];
  }
};

// [count, rows, cols], side by side.
HeadMatrices room(std::vector<float>& of, index_t rows, index_t cols) {
  return {.data = of.data(), .rows = rows, .cols = cols, .stride = cols, .sequence_apart = rows * cols};
}

// Both ways round, at sizes below, at and above a block's.
TEST(HeadProducts, equal_the_reference) {
  for (const index_t window : {1, 5, 64, 70}) {
    for (const index_t width : {2, 48, 66}) {
      Sequences q(window, width, 1), k(window, width, 2);
      const index_t squares = Sequences::count * window * window;
      const auto scores = on_every_executor("q k^T", [&](device::Context& context) {
        std::vector<float> c(as_size(squares));
        head_products(context,
                      {.a = q.matrices(q.values),
                       .transpose_b = Transpose::yes,
                       .b = k.matrices(k.values),
                       .c = room(c, window, window)},
                      Sequences::count);
        return c;
      });
      std::vector<float> p = random_values(squares, 3);
      for (const Transpose transpose : {Transpose::no, Transpose::yes}) {
        const auto sums = on_every_executor("p k", [&](device::Context& context) {
          std::vector<float> c(k.values.size(), 7.0F);
          head_products(context,
                        {.transpose_a = transpose,
                         .a = room(p, window, window),
                         .b = k.matrices(k.values),
                         .c = k.matrices(c)},
                        Sequences::count);
          return c;
        });
        Sequences got = k;
        got.values = sums;
        for (index_t i = 0; i < Sequences::count; ++i) {
          for (index_t r = 0; r < window; ++r) {
            for (index_t c = 0; c < width; ++c) {
              double sum = 0;
              for (index_t t = 0; t < window; ++t) {
                const index_t at = transpose == Transpose::no ? r * window + t : t * window + r;
                sum += p[as_size(i * window * window + at)] * k.at(i, t, c);
              }
              ASSERT_NEAR(got.at(i, r, c), sum, 1e-4);
            }
          }
        }
        EXPECT_EQ(std::ranges::count(sums, 7.0F), std::ssize(sums) - Sequences::count * window * width);
      }
      for (index_t i = 0; i < squares; ++i) {
        const index_t head = i / (window * window), row = i / window % window, column = i % window;
        double sum = 0;
        for (index_t t = 0; t < width; ++t) sum += q.at(head, row, t) * k.at(head, column, t);
        ASSERT_NEAR(scores[as_size(i)], sum, 1e-4);
      }
    }
  }
}

// Products with what a mask leaves have the bits of whole ones.
TEST(HeadProducts, leave_out_what_is_masked) {
  constexpr index_t n = 150, width = 10;
  Sequences v(n, width, 4);
  std::vector<float> p = random_values(Sequences::count * n * n, 5);
  const auto product = [&](Transpose transpose, Causal causal) {
    return on_every_executor("of what is seen", [&](device::Context& context) {
      std::vector<float> c(v.values.size());
      head_products(context,
                    {.transpose_a = transpose,
                     .a = room(p, n, n),
                     .b = v.matrices(v.values),
                     .c = v.matrices(c),
                     .causal = causal},
                    Sequences::count);
      return c;
    });
  };
  for (index_t i = 0; i < std::ssize(p); ++i) {
    if (i % n > i / n % n) p[as_size(i)] = 0.0F;
  }
  EXPECT_TRUE(same_bits(product(Transpose::no, Causal::seen_terms), product(Transpose::no, Causal::whole)));
  EXPECT_TRUE(same_bits(product(Transpose::yes, Causal::seeing_terms), product(Transpose::yes, Causal::whole)));

  const auto scores = [&](Causal causal, index_t rows, Places places) {
    Sequences q(n, width, 6);
    HeadMatrices a = q.matrices(q.values);
    a.rows = rows;
    a.data += places.first * q.stride();
    return on_every_executor("seen columns", [&](device::Context& context) {
      std::vector<float> c(as_size(Sequences::count * rows * n), 9.0F);
      head_products(context,
                    {.a = a,
                     .transpose_b = Transpose::yes,
                     .b = v.matrices(v.values),
                     .c = room(c, rows, n),
                     .causal = causal,
                     .places = places},
                    Sequences::count);
      return c;
    });
  };
  for (const auto& [rows, first] : {std::array<index_t, 2>{n, 0}, {12, 60}, {1, 149}}) {
    const std::vector<float> whole = scores(Causal::whole, rows, {first}),
                             seen = scores(Causal::seen_columns, rows, {first});
    bool any_left_out = false;
    for (std::size_t i = 0; i < whole.size(); ++i) {
      const auto place = static_cast<index_t>(i);
      if (place % n <= first + place / n % rows) {
        ASSERT_EQ(seen[i], whole[i]) << place;
      }
      any_left_out = any_left_out || seen[i] == 9.0F;
    }
    EXPECT_EQ(any_left_out, first != 149);
  }
}

TEST(HeadProducts, refuse_matrices_that_do_not_fit) {
  std::vector<float> values(100);
  device::Context context(1);
  const auto multiply = [&](const HeadProduct& product) { head_products(context, product, 1); };
  EXPECT_THROW(multiply({.a = room(values, 3, 4), .b = room(values, 3, 4), .c = room(values, 3, 4)}),
               ContractViolation);
  EXPECT_THROW(multiply({.a = room(values, 4, 4),
                         .b = room(values, 4, 4),
                         .c = room(values, 4, 4),
                         .causal = Causal::seeing_terms}),
               ContractViolation);
}

}  // namespace
}  // namespace switchyard::ops
