// What products ask of the simulated device, and what they say when it fails.
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "conformance/ops/matmul_case.hpp"
#include "ops/counted.hpp"
#include "ops/product.hpp"
#include "simgpu/cublaslt/products_fixture.hpp"

namespace switchyard::ops {
namespace {

TEST(GpuProducts, are_counted_and_allocate_nothing_once_met) {
  on_new_thread([](device::Context& context) {
    const index_t m = 64, n = 33, k = 40;
    DeviceArray<float> a(random_values(m * k, 1)), b(random_values(k * n, 2)), bias(random_values(n, 3)),
        c(std::vector<float>(as_size(m * n)));
    MatmulShape shape{.m = m, .n = n, .k = k, .lda = k, .ldb = n, .ldc = n, .epilogue = Epilogue::bias_relu};
    const MultiplyAdds before = counted_multiply_adds();
    matmul(context, shape, a.data(), b.data(), c.data(), bias.data());
    // What it takes to choose an algorithm is nobody's step.
    EXPECT_EQ(context.counters().products, 1);
    EXPECT_EQ(context.counters().launches, 1);
    EXPECT_EQ(context.counters().waits, 0);
    EXPECT_EQ((counted_multiply_adds() - before).all, m * n * k);
    simgpu::clear_counts();
    shape.m = 17;
    matmul(context, shape, a.data(), b.data(), c.data(), bias.data());
    EXPECT_EQ(context.counters().products, 2);
    EXPECT_EQ(simgpu::count("cudaMalloc"), 0);
    EXPECT_EQ(simgpu::count("cublasLtMatrixLayoutCreate"), 0);
    EXPECT_EQ(simgpu::count("cublasLtMatmulDescCreate"), 0);
    EXPECT_EQ(simgpu::count("cublasLtMatmul"), 1);
  });
}

TEST(GpuProducts, that_fail_name_their_shape) {
  on_new_thread([](device::Context& context) {
    MatmulCase c(5, 7, 9, Transpose::no, Transpose::yes);
    DeviceArray<float> a(c.a.all()), b(c.b.all()), result(c.c.all());
    const auto multiply = [&] { matmul(context, c.shape, a.data(), b.data(), result.data()); };
    multiply();
    simgpu::plan_failure("cublasLtMatmul:1:14");
    try {
      multiply();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const BlasError& error) {
      EXPECT_STREQ(
          error.what(),
          "cublasLtMatmul failed for the float32 product 5 x 7 x 9 (m, n, k; A plain, lda 12; B transposed, ldb "
          "12; ldc 12) (status 14, CUBLAS_STATUS_INTERNAL_ERROR); `switchyard doctor` shows the library that "
          "was taken, CUBLASLT_LOG_LEVEL=2 makes it say more, and run.device = cpu does without it");
    }
    simgpu::plan_failure("");
  });
}

}  // namespace
}  // namespace switchyard::ops
