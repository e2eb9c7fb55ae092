#include "comm/host_data_plane.hpp"
#include "comm/staged_data_plane.hpp"
#include "conformance/comm/planes.hpp"

namespace switchyard::comm {

std::vector<PlaneMaker> plane_makers() {
  const auto host = [](Communicator& communicator) {
    return std::make_unique<Plane>(
        device::Context(1), [&](device::Context&) { return std::make_unique<HostDataPlane>(communicator); });
  };
  const auto staged = [](Communicator& communicator) {
    return std::make_unique<Plane>(device::Context(1), [&](device::Context& context) {
      return std::make_unique<StagedDataPlane>(communicator, context);
    });
  };
  return {{"host", host}, {"staged", staged}};
}

}  // namespace switchyard::comm
