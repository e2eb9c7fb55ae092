#include "simgpu/nccl/planes.hpp"

#include "comm/nccl/nccl.hpp"
#include "comm/staged_data_plane.hpp"

namespace switchyard::comm {

std::unique_ptr<Plane> make_staged_plane(Communicator& communicator) {
  return std::make_unique<Plane>(
      device::Context::cuda(communicator.rank().value),
      [&](device::Context& context) { return std::make_unique<StagedDataPlane>(communicator, context); });
}

std::unique_ptr<Plane> make_nccl_plane(Communicator& communicator) {
  return std::make_unique<Plane>(device::Context::cuda(communicator.rank().value),
                                 [&](device::Context&) { return nccl::make_data_plane(communicator); });
}

std::vector<PlaneMaker> plane_makers() { return {{"staged", make_staged_plane}, {"nccl", make_nccl_plane}}; }

}  // namespace switchyard::comm
