// The stand-in of NCCL is strict where NCCL hangs or crashes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

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

// A rank in a process of its own, which ends without a word once all have come.
pid_t start_rank_that_goes(const ncclUniqueId& id, ncclConfig_t config) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  ncclComm_t comm = nullptr;
  ncclResult_t state = ncclInProgress;
  cudaSetDevice(1);
  functions().comm_init_rank_config(&comm, 2, id, 1, &config);
  while (state == ncclInProgress) functions().comm_get_async_error(comm, &state);
  ::_exit(0);
}

TEST(StandInProcesses, a_rank_whose_process_is_gone_is_an_asynchronous_error) {
  cudaSetDevice(0);
  ncclUniqueId id;
  ASSERT_EQ(functions().get_unique_id(&id), ncclSuccess);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  const pid_t child = start_rank_that_goes(id, config);
  ncclComm_t comm = nullptr;
  ASSERT_EQ(functions().comm_init_rank_config(&comm, 2, id, 0, &config), ncclInProgress);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  ncclResult_t state = ncclSuccess;
  const auto begin = std::chrono::steady_clock::now();
  while (state != ncclRemoteError && std::chrono::steady_clock::now() - begin < std::chrono::seconds(1))
    ASSERT_EQ(functions().comm_get_async_error(comm, &state), ncclSuccess);
  EXPECT_EQ(state, ncclRemoteError);
  EXPECT_THAT(functions().last_error(comm), HasSubstr("rank 1 is gone (process "));
  functions().comm_abort(comm);
}

}  // namespace
}  // namespace switchyard::comm::nccl
