// ops/product.hpp on a GPU (tests/gpu), and on the simulated device by the library that stands in for cublasLt.
#include "ops/product.hpp"

#include <cmath>
#include <limits>

#include "conformance/ops/matmul_case.hpp"
#include "ops/gpu_products.hpp"
#include "ops/tile_product.hpp"
#include "simgpu/cublaslt/products_fixture.hpp"

namespace switchyard::ops {
namespace {

constexpr Transpose transposes[] = {Transpose::no, Transpose::yes};

template <class Number>
std::vector<float> multiply(device::Context& context, MatmulCase& c, const std::vector<Number>& a,
                            const std::vector<Number>& b) {
  DeviceArray<Number> on_a(a), on_b(b);
  DeviceArray<float> on_c(c.c.all()), bias(c.bias);
  if constexpr (std::is_same_v<Number, std::int8_t>) {
    matmul(context, c.shape, on_a.data(), on_b.data(), on_c.data());
  } else {
    matmul(context, c.shape, on_a.data(), on_b.data(), on_c.data(),
           c.shape.epilogue == Epilogue::none ? nullptr : bias.data());
  }
  const std::vector<float> result = on_c.values(context);
  std::copy(result.begin(), result.end(), c.c.view().data);
  return result;
}

// body(case) for every size, both transposes of both, and `variants` of what may come on top.
void for_each_case(int variants, const auto& body) {
  for (const auto& [m, n, k] : matmul_sizes) {
    for (const Transpose transpose_a : transposes) {
      for (const Transpose transpose_b : transposes) {
        for (int variant = 0; variant < variants; ++variant) {
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

void expect_all_by_library(const device::Context& context) {
  for (const ProductChoice& choice : product_choices(context))
    EXPECT_TRUE(choice.by_library) << choice.products << ": " << choice.why;
}

TEST(GpuProducts, equal_the_reference_in_every_arrangement) {
  on_new_thread([](device::Context& context) {
    for_each_case(4, [&](MatmulCase& c) {
      const reference::Array expected = c.expected();
      multiply(context, c, c.a.all(), c.b.all());
      expect_near(c, expected);
    });
    expect_all_by_library(context);
  });
}

TEST(GpuProducts, of_bfloat16_sum_in_float32) {
  on_new_thread([](device::Context& context) {
    for_each_case(4, [&](MatmulCase& c) {
      const std::vector<bfloat16> a = rounded(c.a), b = rounded(c.b);
      const reference::Array expected = c.expected();
      multiply(context, c, a, b);
      expect_near(c, expected);
    });
    expect_all_by_library(context);
  });
}

TEST(GpuProducts, of_int8_are_exact) {
  on_new_thread([](device::Context& context) {
    for_each_case(1, [&](MatmulCase& c) {
      const std::vector<std::int8_t> a = whole(c.a, 127), b = whole(c.b, 63);
      const reference::Array expected = c.expected();
      multiply(context, c, a, b);
      for (index_t i = 0; i < c.shape.m; ++i) {
        for (index_t j = 0; j < c.shape.n; ++j)
          ASSERT_EQ(static_cast<double>(c.c.view()(i, j)), expected(as_size(i), as_size(j)));
      }
      EXPECT_TRUE(c.c.padding_is_untouched());
    });
  });
}

// The library has one arrangement for them; ours has the others.
TEST(GpuProducts, of_int8_are_the_librarys_where_it_has_them) {
  on_new_thread([](device::Context& context) {
    const index_t m = 70, n = 12, k = 32;
    std::vector<std::int8_t> a(as_size(m * k)), b(as_size(n * k));
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<std::int8_t>(i * 37 % 255 - 127);
    for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<std::int8_t>(i * 11 % 127 - 63);
    DeviceArray<std::int8_t> on_a(a), on_b(b);
    DeviceArray<float> by_library(std::vector<float>(as_size(m * n))),
        by_us(std::vector<float>(as_size(m * n)));
    const MatmulShape shape{
        .m = m, .n = n, .k = k, .lda = k, .ldb = k, .ldc = n, .transpose_b = Transpose::yes};
    matmul(context, shape, on_a.data(), on_b.data(), by_library.data());
    tile_product(context, shape, on_a.data(), on_b.data(), by_us.data());
    EXPECT_EQ(context.counters().products, 1);
    EXPECT_TRUE(same_bits(by_library.values(context), by_us.values(context)));
    ASSERT_EQ(product_choices(context).size(), 1U);
    EXPECT_TRUE(product_choices(context)[0].by_library);
  });
}

TEST(GpuProducts, have_rows_that_depend_on_themselves_alone) {
  on_new_thread([](device::Context& context) {
    const index_t m = 300, n = 45, k = 83;
    DeviceArray<float> a(random_values(m * k, 1)), b(random_values(k * n, 2));
    const auto product = [&](index_t first, index_t rows) {
      DeviceArray<float> c(std::vector<float>(as_size(rows * n)));
      matmul(context, {.m = rows, .n = n, .k = k, .lda = k, .ldb = n, .ldc = n}, a.data() + first * k, b.data(),
             c.data());
      return c.values(context);
    };
    const std::vector<float> all = product(0, m);
    for (const index_t rows : {1, 2, 7, 33, 64, 200}) {
      for (const index_t first : {0, 37, 86}) {
        const auto begin = all.begin() + first * n;
        EXPECT_TRUE(same_bits(product(first, rows), std::vector<float>(begin, begin + rows * n)))
            << rows << " rows from " << first;
      }
    }
    EXPECT_EQ(product_choices(context).size(), 1U);
  });
}

TEST(GpuProducts, let_a_nan_through_relu) {
  on_new_thread([](device::Context& context) {
    MatmulCase c(5, 33, 8, Transpose::no, Transpose::no);
    c.shape.epilogue = Epilogue::bias_relu;
    c.bias[7] = std::numeric_limits<float>::quiet_NaN();
    c.bias[9] = -std::numeric_limits<float>::infinity();
    multiply(context, c, c.a.all(), c.b.all());
    for (index_t i = 0; i < c.shape.m; ++i) {
      EXPECT_TRUE(std::isnan(c.c.view()(i, 7)));
      EXPECT_EQ(c.c.view()(i, 9), 0.0F);
      EXPECT_FALSE(std::isnan(c.c.view()(i, 8)));
    }
  });
}

TEST(GpuProducts, of_tf32_are_a_mode_of_their_own) {
  on_new_thread([](device::Context& context) {
    MatmulCase c(33, 45, 83, Transpose::no, Transpose::no);
    const std::vector<float> exact = multiply(context, c, c.a.all(), c.b.all());
    set_float_products(context, FloatProducts::tf32);
    const std::vector<float> fast = multiply(context, c, c.a.all(), c.b.all());
    EXPECT_FALSE(same_bits(exact, fast));
    for (std::size_t i = 0; i < exact.size(); ++i) EXPECT_NEAR(exact[i], fast[i], 0.1);
    EXPECT_EQ(product_choices(context).size(), 2U);
    set_float_products(context, FloatProducts::float32);
    EXPECT_TRUE(same_bits(multiply(context, c, c.a.all(), c.b.all()), exact));
  });
}

}  // namespace
}  // namespace switchyard::ops
