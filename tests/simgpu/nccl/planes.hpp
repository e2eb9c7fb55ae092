// Data planes of simulated GPUs, a GPU for each rank.
#pragma once

#include <memory>

#include "conformance/comm/planes.hpp"

namespace switchyard::comm {

std::unique_ptr<Plane> make_staged_plane(Communicator& communicator);
std::unique_ptr<Plane> make_nccl_plane(Communicator& communicator);

}  // namespace switchyard::comm
