#include "ops/tile_product.hpp"

#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "conformance/ops/matmul_case.hpp"

namespace switchyard::ops {
namespace {

constexpr Transpose transposes[] = {Transpose::no, Transpose::yes};

// body(case) for every size, both transposes of both, and what may come on top.
void for_each_case(const auto& body) {
  for (const auto& [m, n, k] : matmul_sizes) {
    for (const Transpose transpose_a : transposes) {
      for (const Transpose transpose_b : transposes) {
        for (int variant = 0; variant < 4; ++variant) {
          MatmulCase c(m, n, k, transpose_a, transpose_b);
          c.shape.accumulate = variant == 1;
          c.shape.epilogue =
              variant == 2 ? Epilogue::bias : (variant == 3 ? Epilogue::bias_relu : Epilogue::none);
          body(c);
        }
      }
    }
  }
}

TEST(TileProduct, equals_the_reference_in_every_arrangement) {
  device::Context context(2);
  for_each_case([&](MatmulCase& c) {
    const reference::Array expected = c.expected();
    tile_product(context, c.shape, c.a.view().data, c.b.view().data, c.c.view().data, c.bias_or_null());
    expect_near(c, expected);
  });
}

TEST(TileProduct, of_bfloat16_sums_in_float32) {
  device::Context context(2);
  for_each_case([&](MatmulCase& c) {
    const std::vector<bfloat16> a = rounded(c.a), b = rounded(c.b);
    const reference::Array expected = c.expected();
    tile_product(context, c.shape, a.data(), b.data(), c.c.view().data, c.bias_or_null());
    expect_near(c, expected);
  });
}

TEST(TileProduct, of_int8_is_exact) {
  device::Context context(2);
  for_each_case([&](MatmulCase& c) {
    if (c.shape.accumulate || c.shape.epilogue != Epilogue::none) return;
    const std::vector<std::int8_t> a = whole(c.a, 127), b = whole(c.b, 63);
    const reference::Array expected = c.expected();
    tile_product(context, c.shape, a.data(), b.data(), c.c.view().data);
    for (index_t i = 0; i < c.shape.m; ++i) {
      for (index_t j = 0; j < c.shape.n; ++j)
        ASSERT_EQ(static_cast<double>(c.c.view()(i, j)), expected(as_size(i), as_size(j)));
    }
    EXPECT_TRUE(c.c.padding_is_untouched());
  });
}

TEST(TileProduct, has_the_same_bits_on_every_executor) {
  for (const auto& [m, n, k] : matmul_sizes) {
    on_every_executor("a tile product", [&, m = m, n = n, k = k](device::Context& context) {
      MatmulCase c(m, n, k, Transpose::no, Transpose::yes);
      c.shape.epilogue = Epilogue::bias_relu;
      tile_product(context, c.shape, c.a.view().data, c.b.view().data, c.c.view().data, c.bias_or_null());
      return c.c.all();
    });
  }
}

TEST(TileProduct, adds_terms_in_ascending_order_with_one_rounding_each) {
  const index_t m = 66, n = 70, k = 83;
  const std::vector<float> a = random_values(m * k, 1), b = random_values(k * n, 2);
  std::vector<float> c(as_size(m * n)), expected = c;
  device::Context context(1);
  tile_product(context, {.m = m, .n = n, .k = k, .lda = k, .ldb = n, .ldc = n}, a.data(), b.data(), c.data());
  for (index_t r = 0; r < m; ++r) {
    for (index_t q = 0; q < n; ++q) {
      float& sum = expected[as_size(r * n + q)];
      for (index_t i = 0; i < k; ++i) sum = std::fma(a[as_size(r * k + i)], b[as_size(i * n + q)], sum);
    }
  }
  EXPECT_TRUE(same_bits(c, expected));
}

// The library of a GPU is asked for what this kernel promises.
TEST(TileProduct, has_rows_that_depend_on_themselves_alone) {
  const index_t m = 150, n = 45, k = 83;
  const std::vector<float> a = random_values(m * k, 1), b = random_values(k * n, 2);
  device::Context context(2);
  const auto product = [&](index_t first, index_t rows) {
    std::vector<float> c(as_size(rows * n));
    tile_product(context, {.m = rows, .n = n, .k = k, .lda = k, .ldb = n, .ldc = n}, a.data() + first * k,
                 b.data(), c.data());
    return c;
  };
  const std::vector<float> all = product(0, m);
  for (const index_t rows : {1, 2, 7, 33, 64}) {
    for (const index_t first : {0, 37, 86}) {
      const auto begin = all.begin() + first * n;
      EXPECT_TRUE(same_bits(product(first, rows), std::vector<float>(begin, begin + rows * n)))
          << rows << " rows from " << first;
    }
  }
}

// Three sets in the order 0, 2, 1 with rows of unequal number, as a bank's experts have them.
struct SetCase {
  static constexpr index_t n = 37, k = 29, sets = 3, rows = 5 * granule_rows;
  std::vector<std::int32_t> of_granule = {0, 0, 2, 1, 1};
  std::vector<SetRows> list = {{0, {0, 128}}, {2, {128, 192}}, {1, {192, 320}}};
  std::vector<float> a = random_values(rows * k, 1), b = random_values(sets * n * k, 2),
                     bias = random_values(sets * n, 3);

  std::vector<float> by_sets(device::Context& context, Transpose transpose_b, Epilogue epilogue,
                             const auto& multiply) const {
    std::vector<float> c(as_size(rows * n));
    const SetProduct<float> product{.n = n,
                                    .k = k,
                                    .transpose_b = transpose_b,
                                    .epilogue = epilogue,
                                    .a = a.data(),
                                    .lda = k,
                                    .b = b.data(),
                                    .ldb = transpose_b == Transpose::no ? n : k,
                                    .b_stride = n * k,
                                    .bias = bias.data(),
                                    .bias_stride = n,
                                    .c = c.data(),
                                    .ldc = n};
    multiply(context, product);
    return c;
  }
};

TEST(TileProduct, of_several_sets_is_each_sets_own) {
  const SetCase s;
  for (const Transpose transpose_b : transposes) {
    for (const Epilogue epilogue : {Epilogue::none, Epilogue::bias, Epilogue::bias_relu}) {
      const auto together = on_every_executor("products of sets", [&](device::Context& context) {
        return s.by_sets(context, transpose_b, epilogue, [&](auto& on, const SetProduct<float>& product) {
          tile_set_products(on, product, {0, SetCase::rows}, {s.of_granule.data(), 0});
        });
      });
      device::Context context(1);
      const auto alone = s.by_sets(context, transpose_b, epilogue, [&](auto& on, const SetProduct<float>& p) {
        for (const auto& [set, rows] : s.list) {
          tile_product(on,
                       {.m = rows.size(),
                        .n = p.n,
                        .k = p.k,
                        .lda = p.lda,
                        .ldb = p.ldb,
                        .ldc = p.ldc,
                        .transpose_b = p.transpose_b,
                        .epilogue = p.epilogue},
                       p.a + rows.begin * p.lda, p.b + set * p.b_stride, p.c + rows.begin * p.ldc,
                       epilogue == Epilogue::none ? nullptr : p.bias + set * p.bias_stride);
        }
      });
      EXPECT_TRUE(same_bits(together, alone));
    }
  }
}

TEST(TileProduct, of_some_rows_leaves_the_others) {
  const SetCase s;
  device::Context context(2);
  const auto run = [&](IndexRange rows) {
    return s.by_sets(context, Transpose::no, Epilogue::bias, [&](auto& on, const SetProduct<float>& product) {
      tile_set_products(on, product, rows, {s.of_granule.data(), 0});
    });
  };
  const std::vector<float> all = run({0, SetCase::rows}), some = run({128, 300});
  for (index_t i = 0; i < SetCase::rows * SetCase::n; ++i) {
    const bool computed = i >= 128 * SetCase::n && i < 300 * SetCase::n;
    ASSERT_EQ(some[as_size(i)], computed ? all[as_size(i)] : 0.0F) << i;
  }
  EXPECT_THROW(run({100, 128}), ContractViolation);
}

TEST(TileProduct, has_an_epilogue_of_its_own) {
  const SetCase s;
  for (const Epilogue epilogue : {Epilogue::none, Epilogue::bias, Epilogue::bias_relu}) {
    const auto multiply = [&](auto& on, const SetProduct<float>& product) {
      tile_set_products(on, product, {0, SetCase::rows}, {s.of_granule.data(), 0});
    };
    const auto apart = on_every_executor("an epilogue", [&](device::Context& context) {
      std::vector<float> c = s.by_sets(context, Transpose::no, Epilogue::none, multiply);
      add_bias(context, {epilogue, s.bias.data(), SetCase::n, {s.of_granule.data(), 0}},
               {c.data(), SetCase::rows, SetCase::n});
      return c;
    });
    device::Context context(1);
    EXPECT_TRUE(same_bits(apart, s.by_sets(context, Transpose::no, epilogue, multiply)));
  }
}

TEST(TileProduct, relu_lets_a_nan_through) {
  MatmulCase c(5, 33, 8, Transpose::no, Transpose::no);
  c.shape.epilogue = Epilogue::bias_relu;
  c.bias[7] = std::numeric_limits<float>::quiet_NaN();
  c.bias[9] = -std::numeric_limits<float>::infinity();
  device::Context context(1);
  tile_product(context, c.shape, c.a.view().data, c.b.view().data, c.c.view().data, c.bias_or_null());
  for (index_t i = 0; i < c.shape.m; ++i) {
    EXPECT_TRUE(std::isnan(c.c.view()(i, 7)));
    EXPECT_EQ(c.c.view()(i, 9), 0.0F);
    EXPECT_FALSE(std::isnan(c.c.view()(i, 8)));
  }
}

TEST(TileProduct, makes_floats_of_integers_in_their_place) {
  const std::vector<std::int32_t> integers = {0, 1, -1, 127 * 63 * 64, -(1 << 24)};
  on_every_executor("integers", [&](device::Context& context) {
    std::vector<float> c(5);
    std::memcpy(c.data(), integers.data(), 5 * sizeof(float));
    int32_to_float(context, {c.data(), 1, 5});
    EXPECT_EQ(c, (std::vector<float>{0, 1, -1, 127 * 63 * 64, -(1 << 24)}));
    return c;
  });
}

}  // namespace
}  // namespace switchyard::ops
