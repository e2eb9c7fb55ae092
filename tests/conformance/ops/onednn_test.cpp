#include "ops/detail/onednn.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "base/error.hpp"

namespace switchyard::ops::detail {
namespace {

TEST(CheckDnnl, says_what_failed_and_why) {
  EXPECT_NO_THROW(check_dnnl(dnnl_success, "plan", "anything"));
  try {
    check_dnnl(dnnl_unimplemented, "plan", "the product 2 x 3 x 4");
    FAIL() << "a failure passed";
  } catch (const BlasError& error) {
    EXPECT_EQ(
        std::string(error.what()),
        "oneDNN could not plan the product 2 x 3 x 4 (no implementation for this processor and shape); use "
        "float32, or run `switchyard doctor` to see what this processor offers");
  }
}

TEST(DnnlThread, has_a_scratchpad_that_grows_and_belongs_to_one_thread) {
  DnnlThread& mine = DnnlThread::of_this_thread();
  const void* const small = mine.scratchpad(64);
  EXPECT_EQ(mine.scratchpad(1), small);
  ASSERT_NE(mine.scratchpad(index_t{1} << 20), nullptr);
  const void* const large = mine.scratchpad(64);
  EXPECT_EQ(large, mine.scratchpad(index_t{1} << 20));
  std::thread([&] { EXPECT_NE(&DnnlThread::of_this_thread(), &mine); }).join();
}

TEST(DnnlOperation, is_refused_by_the_library_with_its_subject) {
  // An inner product of a 2 x 3 and a 4 x 5 matrix.
  const auto a = matrix_layout(dnnl_f32, 2, 3, 3, 1), b = matrix_layout(dnnl_f32, 4, 5, 5, 1);
  const auto c = matrix_layout(dnnl_f32, 2, 5, 5, 1);
  dnnl_matmul_desc_t operation;
  EXPECT_THROW(check_dnnl(dnnl_matmul_desc_init(&operation, &a, &b, nullptr, &c), "plan", "a mismatch"),
               BlasError);
}

}  // namespace
}  // namespace switchyard::ops::detail
