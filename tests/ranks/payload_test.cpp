// What a top-1 step really sends, counted at the MPI library's own door.
#include <gtest/gtest.h>

#include "comm/host_data_plane.hpp"
#include "moe/exchange.hpp"
#include "nn/batch_tiles.hpp"
#include "support/mpi_main.hpp"
#include "support/mpi_payload_counter.hpp"

namespace switchyard::moe {
namespace {

TEST(Payload, of_a_top_1_dispatch_is_the_rows_that_leave_their_rank) {
  comm::Communicator& world = comm::test_world();
  constexpr index_t batch = 512;
  constexpr index_t features = 784;
  constexpr index_t experts = 8;
  const Placement placement = Placement::make(moe::PlacementRule::block, experts, world.size());
  comm::HostDataPlane data_plane(world);
  nn::BatchTiles tiles;
  tiles.set_sharded(data_plane, batch, 8);
  device::Context context(1);
  std::vector<float> samples(static_cast<std::size_t>(tiles.local_rows() * features), 1.0F);
  std::vector<std::int32_t> chosen;
  index_t leaving = 0;
  for (index_t n = 0; n < tiles.local_rows(); ++n) {
    chosen.push_back(static_cast<std::int32_t>((tiles.first_row() + n) * 5 % experts));
    if (placement.owner(ExpertId(chosen.back())) != world.rank()) ++leaving;
  }
  Routing routing;
  routing.experts = chosen;
  routing.samples = tiles.local_rows();
  routing.slots = 1;
  const tensor::ConstMatrix rows_here(samples.data(), tiles.local_rows(), features);
  DispatchPlan plan(placement, world.rank(), context.memory());
  Exchange exchange({world, data_plane, context}, {10, 0});
  world.barrier();
  comm::reset_mpi_payload();
  plan.build({world, data_plane, context}, routing, {.samples = rows_here, .multiple = 64});
  exchange.dispatch(context, plan, rows_here);
  const auto sent = static_cast<double>(comm::mpi_payload_bytes());
  const double rows = static_cast<double>(leaving * features) * sizeof(float);
  EXPECT_EQ(plan.sent_rows(), leaving);
  EXPECT_GE(sent, rows);
  EXPECT_LE(sent, 1.1 * rows);
  EXPECT_EQ(comm::mpi_self_payload_bytes(), 0);
}

}  // namespace
}  // namespace switchyard::moe
