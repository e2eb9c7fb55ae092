// The data plane that a configuration asks for and the machine can have.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "comm/communicator.hpp"
#include "comm/data_plane.hpp"
#include "comm/options.hpp"

namespace switchyard::comm {

struct MadeDataPlane {
  std::unique_ptr<DataPlane> plane;
  PlaneKind kind = PlaneKind::mpi;  // never automatic
  // For the table at start: "NCCL 2.28.9: each rank has a GPU of its own"; empty on processors.
  std::string text;
};

// Over the ranks of `communicator`, which must outlive it, for `context` alone, which is of the calling
// thread's current GPU or a CPU, on all ranks alike. AgreedError if NCCL is asked for and cannot be had; else
// as nccl::make_data_plane(). Collective; ranks agree on the choice and on failures.
MadeDataPlane make_data_plane(const Options& asked, Communicator& communicator, const device::Context& context);

}  // namespace switchyard::comm
