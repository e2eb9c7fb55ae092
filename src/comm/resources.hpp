// Whom a rank talks to and what it computes on, where both are needed.
#pragma once

#include "comm/communicator.hpp"
#include "comm/data_plane.hpp"
#include "device/context.hpp"

namespace switchyard::comm {

// All outlive whoever is given them. Both planes are of the same ranks.
struct Resources {
  Communicator& communicator;
  DataPlane& data_plane;
  device::Context& context;
};

}  // namespace switchyard::comm
