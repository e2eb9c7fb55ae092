// What carries rows between GPUs, and why.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"
#include "comm/host_data_plane.hpp"
#include "comm/planes/choice.hpp"
#include "comm/planes/make_data_plane.hpp"
#include "comm/replica_group.hpp"
#include "comm/threads/thread_group.hpp"

namespace switchyard::comm {
namespace {

using testing::HasSubstr;

constexpr int usual_version = 22809;

RankGpu gpu(std::string_view host, std::string_view place, int version = usual_version,
            bool has_host_id = false) {
  return make_rank_gpu(host, place, version, has_host_id);
}

PlaneChoice choose(const std::vector<RankGpu>& ranks, PlaneKind asked = PlaneKind::automatic) {
  return choose_data_plane(asked, ranks);
}

TEST(DataPlaneChoice, nccl_where_each_rank_has_a_gpu_of_its_own) {
  const PlaneChoice choice = choose({gpu("a", "0"), gpu("a", "1"), gpu("b", "0")});
  EXPECT_EQ(choice.kind, PlaneKind::nccl);
  EXPECT_EQ(choice.why, "each rank has a GPU of its own");
}

TEST(DataPlaneChoice, mpi_where_two_ranks_share_a_gpu) {
  const PlaneChoice choice = choose({gpu("a", "0"), gpu("b", "7"), gpu("a", "1"), gpu("b", "7")});
  EXPECT_EQ(choice.kind, PlaneKind::mpi);
  EXPECT_EQ(choice.why, "ranks 1 and 3 share the GPU 7 of b, which NCCL 2.28.9 does not take");
}

TEST(DataPlaneChoice, nccl_on_a_shared_gpu_where_all_ranks_have_what_allows_it) {
  EXPECT_EQ(choose({gpu("a", "0", 23001), gpu("a", "0", 23001)}).kind, PlaneKind::nccl);
  EXPECT_EQ(choose({gpu("a", "0", usual_version, true), gpu("a", "0", usual_version, true)}).kind,
            PlaneKind::nccl);
  EXPECT_EQ(choose({gpu("a", "0", usual_version, true), gpu("a", "0")}).kind, PlaneKind::mpi);
}

TEST(DataPlaneChoice, mpi_where_a_rank_has_no_nccl_and_where_there_is_one_rank) {
  const PlaneChoice choice = choose({gpu("a", "0"), gpu("b", "0", 0)});
  EXPECT_EQ(choice.kind, PlaneKind::mpi);
  EXPECT_EQ(choice.why, "rank 1 on b has no NCCL");
  EXPECT_EQ(choose({gpu("a", "0")}).kind, PlaneKind::mpi);
}

TEST(DataPlaneChoice, what_is_asked_for_is_taken_or_refused) {
  EXPECT_EQ(choose({gpu("a", "0"), gpu("a", "1")}, PlaneKind::mpi).kind, PlaneKind::mpi);
  EXPECT_EQ(choose({gpu("a", "0")}, PlaneKind::nccl).kind, PlaneKind::nccl);
  try {
    choose({gpu("a", "0"), gpu("a", "0")}, PlaneKind::nccl);
    FAIL() << "did not throw";
  } catch (const AgreedError& error) {
    EXPECT_THAT(error.what(), HasSubstr("nccl cannot be had (ranks 0 and 1 share the GPU 0 of a"));
  }
}

TEST(DataPlaneChoice, processors_send_over_the_host_and_have_no_nccl) {
  run_ranks(2, [](Communicator& communicator) {
    const device::Context context(1);
    for (const PlaneKind asked : {PlaneKind::automatic, PlaneKind::mpi}) {
      const MadeDataPlane made = make_data_plane({asked}, communicator, context);
      EXPECT_NE(dynamic_cast<HostDataPlane*>(made.plane.get()), nullptr);
    }
    EXPECT_THROW(make_data_plane({PlaneKind::nccl}, communicator, context), AgreedError);
  });
}

TEST(DataPlaneChoice, replicas_talk_over_the_plane_that_is_made_for_their_group) {
  run_ranks(4, [](Communicator& world) {
    int size = 0;
    ReplicaGroup group(world, 2, [&](Communicator& communicator) {
      size = communicator.size();
      return std::make_unique<HostDataPlane>(communicator);
    });
    EXPECT_EQ(size, 2);
    EXPECT_EQ(group.data_plane().size(), 2);
  });
}

}  // namespace
}  // namespace switchyard::comm
