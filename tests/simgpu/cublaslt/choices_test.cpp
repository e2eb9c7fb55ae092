// Which algorithm is chosen: one that keeps a row's bits, or our own kernel.
#include <gmock/gmock.h>

#include "base/error.hpp"
#include "conformance/ops/executors.hpp"
#include "ops/gpu_products.hpp"
#include "ops/tile_product.hpp"
#include "simgpu/cublaslt/products_fixture.hpp"

namespace switchyard::ops {
namespace {

using ::testing::HasSubstr;

constexpr index_t n = 24, k = 50;

std::vector<float> multiply(device::Context& context, index_t rows) {
  DeviceArray<float> a(random_values(rows * k, 1)), b(random_values(k * n, 2));
  DeviceArray<float> c(std::vector<float>(as_size(rows * n)));
  matmul(context, {.m = rows, .n = n, .k = k, .lda = k, .ldb = n, .ldc = n}, a.data(), b.data(), c.data());
  return c.values(context);
}

std::vector<float> multiply_by_own_kernel(device::Context& context, index_t rows) {
  DeviceArray<float> a(random_values(rows * k, 1)), b(random_values(k * n, 2));
  DeviceArray<float> c(std::vector<float>(as_size(rows * n)));
  tile_product(context, {.m = rows, .n = n, .k = k, .lda = k, .ldb = n, .ldc = n}, a.data(), b.data(),
               c.data());
  return c.values(context);
}

ProductChoice only_choice(const device::Context& context) {
  const std::vector<ProductChoice> choices = product_choices(context);
  EXPECT_EQ(choices.size(), 1U);
  return choices.at(0);
}

TEST(ProductChoices, are_the_librarys_first_as_a_rule) {
  on_new_thread([](device::Context& context) {
    EXPECT_TRUE(product_choices(context).empty());
    multiply(context, 10);
    const ProductChoice choice = only_choice(context);
    EXPECT_EQ(choice.products, "float32, k 50, n 24, alignment 8 16 16");
    EXPECT_TRUE(choice.by_library);
    EXPECT_EQ(choice.computed_by, "algorithm 1, tile 1, stages 1");
    EXPECT_EQ(choice.why, "");
    EXPECT_EQ(context.counters().products, 1);
  });
}

TEST(ProductChoices, pass_over_an_algorithm_whose_rows_depend_on_their_number) {
  const Products products("by_rows");
  on_new_thread([](device::Context& context) {
    const std::vector<float> all = multiply(context, 200);
    const ProductChoice choice = only_choice(context);
    EXPECT_EQ(choice.computed_by, "algorithm 2, tile 1, stages 1");
    EXPECT_THAT(choice.why,
                HasSubstr("not algorithm 1, tile 1, stages 1 (a row has other bits for 1 products"));
    const std::vector<float> some = multiply(context, 10);
    // The same values in the first ten rows, of the same seed.
    const std::vector<float> whole = multiply(context, 10);
    EXPECT_TRUE(same_bits(some, whole));
  });
}

TEST(ProductChoices, pass_over_an_algorithm_with_wrong_values) {
  const Products products("wrong");
  on_new_thread([](device::Context& context) {
    multiply(context, 10);
    EXPECT_EQ(only_choice(context).computed_by, "algorithm 2, tile 1, stages 1");
    EXPECT_THAT(only_choice(context).why, HasSubstr("where our kernel gives"));
  });
}

TEST(ProductChoices, are_our_own_kernel_where_no_algorithm_holds) {
  const Products products("all_by_rows");
  on_new_thread([](device::Context& context) {
    EXPECT_TRUE(same_bits(multiply(context, 10), multiply_by_own_kernel(context, 10)));
    const ProductChoice choice = only_choice(context);
    EXPECT_FALSE(choice.by_library);
    EXPECT_EQ(choice.computed_by, "own kernel");
    EXPECT_THAT(choice.why, HasSubstr("not algorithm 3"));
    EXPECT_EQ(context.counters().products, 0);
  });
}

TEST(ProductChoices, are_our_own_kernel_where_the_library_has_none) {
  const Products products("none");
  on_new_thread([](device::Context& context) {
    EXPECT_TRUE(same_bits(multiply(context, 10), multiply_by_own_kernel(context, 10)));
    EXPECT_EQ(only_choice(context).computed_by, "own kernel");
    EXPECT_EQ(only_choice(context).why, "the library offers no algorithm without workspace");
  });
}

// What failed once may go well the next time, on a rank that goes on.
TEST(ProductChoices, that_fail_are_no_choices) {
  on_new_thread([](device::Context& context) {
    for (const char* const failure :
         {"cublasLtMatmulAlgoGetHeuristic:1:14", "cublasLtMatmulAlgoCheck:2:14", "cublasLtMatmul:3:14"}) {
      simgpu::plan_failure(failure);
      EXPECT_THROW(multiply(context, 10), BlasError) << failure;
      simgpu::plan_failure("");
      EXPECT_TRUE(product_choices(context).empty());
    }
    multiply(context, 10);
    EXPECT_TRUE(only_choice(context).by_library);
  });
}

TEST(ProductChoices, come_from_a_file_with_a_version) {
  const GpuProductLibrary library = gpu_product_library();
  EXPECT_THAT(library.path, HasSubstr("/libcublasLt.so.13"));
  EXPECT_EQ(library.version, "13.0.0");
  EXPECT_EQ(library.why_none, "");
}

// The same choice under any order in which the device may work.
TEST(ProductChoices, do_not_depend_on_the_order_of_work) {
  const Products products("by_rows");
  std::vector<float> expected;
  on_new_thread([&](device::Context& context) { expected = multiply(context, 100); });
  using Kind = simgpu::Order::Kind;
  for (const simgpu::Order order : {simgpu::Order{Kind::latest}, {Kind::seeded, 1}, {Kind::seeded, 2}}) {
    simgpu::set_order(order);
    on_new_thread([&](device::Context& context) { EXPECT_TRUE(same_bits(multiply(context, 100), expected)); });
  }
  simgpu::set_order({});
}

}  // namespace
}  // namespace switchyard::ops
