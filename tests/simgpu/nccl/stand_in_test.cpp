// The stand-in of NCCL is strict where NCCL hangs or crashes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "comm/nccl/nccl_library.hpp"
#include "device/buffer.hpp"
#include "device/context.hpp"

namespace switchyard::comm::nccl {
namespace {

using testing::HasSubstr;

// A communicator of one rank that does not block, and a stream.
class StandIn : public testing::Test {
 protected:
  StandIn() {
    ncclUniqueId id;
    EXPECT_EQ(functions().get_unique_id(&id), ncclSuccess);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    EXPECT_EQ(functions().comm_init_rank_config(&comm_, 1, id, 0, &config), ncclInProgress);
  }
  ~StandIn() override {
    if (comm_ != nullptr) functions().comm_abort(comm_);
    context_.wait();
  }

  ncclResult_t state() {
    ncclResult_t state = ncclSuccess;
    EXPECT_EQ(functions().comm_get_async_error(comm_, &state), ncclSuccess);
    return state;
  }
  ncclResult_t sum() {
    return functions().all_reduce(values_.data(), values_.data(), 4, ncclInt64, ncclSum, comm_,
                                  static_cast<cudaStream_t>(context_.messages().stream()));
  }
  std::string last_error() { return functions().last_error(comm_); }

  device::Context context_ = device::Context::cuda(0);
  device::Buffer<std::int64_t> values_{4, device::MemoryKind::device};
  ncclComm_t comm_ = nullptr;
};

TEST_F(StandIn, refuses_a_call_before_all_ranks_have_come) {
  EXPECT_EQ(sum(), ncclInvalidUsage);
  EXPECT_THAT(last_error(), HasSubstr("ncclAllReduce: not all ranks have come yet"));
}

TEST_F(StandIn, refuses_a_call_before_the_one_before_is_enqueued) {
  EXPECT_EQ(state(), ncclSuccess);
  EXPECT_EQ(sum(), ncclInProgress);
  EXPECT_EQ(sum(), ncclInvalidUsage);
  EXPECT_THAT(last_error(), HasSubstr("the call before goes on"));
  EXPECT_EQ(state(), ncclInProgress);
  EXPECT_EQ(state(), ncclSuccess);
  EXPECT_EQ(sum(), ncclInProgress);
}

TEST_F(StandIn, refuses_a_call_after_abort) {
  EXPECT_EQ(functions().comm_abort(comm_), ncclSuccess);
  EXPECT_EQ(sum(), ncclInvalidArgument);
  EXPECT_THAT(last_error(), HasSubstr("ncclAllReduce with a communicator that is not, or no longer, open"));
  comm_ = nullptr;
}

TEST_F(StandIn, refuses_what_comes_in_an_open_group) {
  EXPECT_EQ(state(), ncclSuccess);
  EXPECT_EQ(functions().group_start(), ncclSuccess);
  EXPECT_EQ(functions().comm_destroy(comm_), ncclInvalidUsage);
  EXPECT_THAT(last_error(), HasSubstr("ncclCommDestroy in an open group"));
  EXPECT_EQ(functions().group_end(), ncclInvalidUsage);
  EXPECT_EQ(functions().group_end(), ncclInvalidUsage);
  EXPECT_THAT(last_error(), HasSubstr("ncclGroupEnd without ncclGroupStart"));
}

TEST_F(StandIn, refuses_sums_of_floats) {
  EXPECT_EQ(state(), ncclSuccess);
  EXPECT_EQ(functions().all_reduce(values_.data(), values_.data(), 4, ncclFloat32, ncclSum, comm_, nullptr),
            ncclInvalidArgument);
}

TEST_F(StandIn, refuses_host_memory) {
  EXPECT_EQ(state(), ncclSuccess);
  std::int64_t value = 0;
  EXPECT_EXIT(functions().all_reduce(&value, &value, 1, ncclInt64, ncclSum, comm_, nullptr),
              testing::ExitedWithCode(70), "ncclAllReduce: sendbuff");
}

}  // namespace
}  // namespace switchyard::comm::nccl
