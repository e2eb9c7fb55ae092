// The real cublasLt without a GPU: it takes what we set of descriptors and preferences, and has no more to say.
#include <gmock/gmock.h>

#include "base/error.hpp"
#include "ops/cuda/descriptors.hpp"

namespace switchyard::ops::cuda {
namespace {

constexpr Transpose transposes[] = {Transpose::no, Transpose::yes};

TEST(RealCublasLt, has_all_functions) {
  EXPECT_EQ(find_cublas().why_none, "");
  EXPECT_THAT(cublas().version(), ::testing::StartsWith("13."));
}

// Without a device there is no handle, and so no choice: the failure of that call comes after all attributes
// were taken.
TEST(RealCublasLt, takes_the_descriptors_of_every_kind_of_product) {
  for (const Arithmetic arithmetic :
       {Arithmetic::float32, Arithmetic::tf32, Arithmetic::bfloat16, Arithmetic::int8}) {
    for (const Transpose transpose_a : transposes) {
      for (const Transpose transpose_b : transposes) {
        for (const std::int32_t bias : {0, 1}) {
          const ProductKey key{.arithmetic = arithmetic,
                               .transpose_a = transpose_a,
                               .transpose_b = transpose_b,
                               .bias = bias,
                               .m = transpose_a == Transpose::no ? 0 : 169,
                               .n = 10,
                               .k = transpose_a == Transpose::no ? 64 : 0,
                               .c_alignment = 8};
          Descriptors descriptors(key);
          Product product{.shape = example_shape(key, 1000), .arithmetic = arithmetic};
          product.count = 3;
          product.a_stride = product.b_stride = product.c_stride = 1 << 20;
          try {
            descriptors.candidates(nullptr, product);
            ADD_FAILURE() << "a choice without a device";
          } catch (const BlasError& error) {
            EXPECT_THAT(error.what(), ::testing::HasSubstr("cublasLtMatmulAlgoGetHeuristic failed for the"));
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace switchyard::ops::cuda
