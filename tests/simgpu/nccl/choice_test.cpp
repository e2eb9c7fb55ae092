// The data plane that ranks with simulated GPUs get.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "comm/planes/make_data_plane.hpp"
#include "comm/staged_data_plane.hpp"
#include "comm/threads/thread_group.hpp"

namespace switchyard::comm {
namespace {

using testing::HasSubstr;

bool is_staged(const MadeDataPlane& made) {
  return dynamic_cast<StagedDataPlane*>(made.plane.get()) != nullptr;
}

TEST(SimulatedChoice, nccl_carries_rows_where_each_rank_has_a_gpu_of_its_own) {
  run_ranks(2, [](Communicator& communicator) {
    const device::Context context = device::Context::cuda(communicator.rank().value);
    const MadeDataPlane made = make_data_plane({PlaneKind::automatic}, communicator, context);
    EXPECT_EQ(made.kind, PlaneKind::nccl);
    EXPECT_FALSE(is_staged(made));
    EXPECT_EQ(made.text, "NCCL 2.28.9: each rank has a GPU of its own");
  });
}

TEST(SimulatedChoice, mpi_does_where_ranks_share_a_gpu) {
  run_ranks(2, [](Communicator& communicator) {
    const device::Context context = device::Context::cuda(0);
    const MadeDataPlane made = make_data_plane({PlaneKind::automatic}, communicator, context);
    EXPECT_TRUE(is_staged(made));
    EXPECT_THAT(made.text, HasSubstr("MPI, through pinned memory: ranks 0 and 1 share the GPU 0000:"));
    EXPECT_THROW(make_data_plane({PlaneKind::nccl}, communicator, context), AgreedError);
  });
}

TEST(SimulatedChoice, mpi_and_nccl_are_had_where_they_are_asked_for) {
  run_ranks(3, [](Communicator& communicator) {
    const device::Context context = device::Context::cuda(communicator.rank().value);
    EXPECT_TRUE(is_staged(make_data_plane({PlaneKind::mpi}, communicator, context)));
    EXPECT_EQ(make_data_plane({PlaneKind::nccl}, communicator, context).text,
              "NCCL 2.28.9: comm.data_plane = nccl");
  });
}

}  // namespace
}  // namespace switchyard::comm
