#include "model/model.hpp"

#include <gmock/gmock.h>

#include "base/error.hpp"
#include "comm/host_data_plane.hpp"
#include "comm/local/local_communicator.hpp"

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

}  // namespace
}  // namespace switchyard::model
