#include "model/model.hpp"

#include <gmock/gmock.h>

#include "base/error.hpp"
#include "comm/host_data_plane.hpp"
#include "comm/local/local_communicator.hpp"
#include "model/outline.hpp"
#include "support/config_error.hpp"

namespace switchyard::model {
namespace {

// Refused before anything is allocated: the kernel would end the process where it writes to that memory.
TEST(MakeModel, refuses_what_no_memory_holds) {
  comm::LocalCommunicator communicator;
  comm::HostDataPlane plane(communicator);
  device::Context context(1);
  ModelOptions options;
  options.networks.gate = "dense:experts";
  options.networks.expert = "dense:1000000 relu dense:1000000 relu dense:classes";
  options.batch_size = options.shards = 1;
  try {
    (void)make_model(options, {{1, 1, 10}, 3}, {communicator, plane, context});
    FAIL() << "20 TB were found";
  } catch (const OutOfMemory& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("parameters on a rank"));
  }
}

// A plan is made of them, which no memory bounds.
TEST(Outline, refuses_more_parameters_than_are_computed_with) {
  ModelOptions options;
  options.networks.gate = "dense:experts";
  options.networks.expert = "dense:1000000 relu dense:100000 relu dense:classes";
  options.moe.experts = 100'000;
  const auto refused = [&] { static_cast<void>(outline(options, {{1, 1, 10}, 3})); };
  EXPECT_EQ(test::config_error_of(refused),
            "all experts have 1e+16 parameters (at most 1e+15 are computed with); give fewer or smaller ones "
            "(moe.experts)");
  options.moe.experts = 10;
  EXPECT_EQ(outline(options, {{1, 1, 10}, 3}).layers.size(), 1U);
}

}  // namespace
}  // namespace switchyard::model
