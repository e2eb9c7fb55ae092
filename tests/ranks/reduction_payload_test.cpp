// What the reduction of a replicated network really sends, counted at the MPI library's own door.
#include <gtest/gtest.h>

#include <algorithm>

#include "comm/host_data_plane.hpp"
#include "nn/network_gradient.hpp"
#include "support/mpi_main.hpp"
#include "support/mpi_payload_counter.hpp"

namespace switchyard::nn {
namespace {

TEST(Payload, of_the_reduction_and_the_update_is_at_most_twice_the_parameters) {
  comm::Communicator& world = comm::test_world();
  comm::HostDataPlane data_plane(world);
  constexpr index_t rows = 2048, shards = 8, features = 64, outputs = 8;
  const auto layers = parse_network("dense:512 relu dense:512 relu dense:experts", NetworkRole::gate);
  Network network({"gate"}, NetworkShape::resolve("gate", layers, {1, 1, features}, outputs),
                  {.policy = {.replicated = true, .batch_size = rows, .shards = shards}}, 1);
  NetworkGradient gradient(network, data_plane);
  BatchTiles tiles;
  tiles.set_sharded(data_plane, rows, shards);
  const std::vector<float> samples(static_cast<std::size_t>(tiles.local_rows() * features), 1.0F);
  device::Context context(1);
  PhaseClock clock;
  const Batch batch{.tiles = &tiles, .rows = tensor::ConstMatrix(samples.data(), tiles.local_rows(), features)};
  const Pass pass{context, batch, Mode::training, clock};
  NetworkRecord record;
  network.forward(pass, record);
  network.begin_backward(pass, record);
  const tensor::Matrix d_output = record.d_output();
  std::fill_n(d_output.data, d_output.rows * d_output.cols, 1.0F);
  gradient.backward(pass, record);

  world.barrier();
  comm::reset_mpi_payload();
  gradient.reduce(pass, record);
  gradient.gather_updated_values(context);
  std::int64_t sent = comm::mpi_payload_bytes();
  ASSERT_EQ(network.partial_width(), 300'040) << "nothing has a rule of its own";
  const std::int64_t parameters = network.partial_width() * size_of<float>;
  EXPECT_LE(static_cast<double>(sent), 2.2 * static_cast<double>(parameters));
  EXPECT_EQ(comm::mpi_self_payload_bytes(), 0);
  // Every rank gives each of the others its part of a sum, and gets its part of the values.
  world.all_reduce_sum({&sent, 1});
  EXPECT_EQ(sent, 2 * (world.size() - 1) * parameters);
}

}  // namespace
}  // namespace switchyard::nn
