// Whom a rank talks to and what it computes on, where both are needed.
#pragma once

#include "comm/communicator.hpp"
#include "comm/data_plane.hpp"
#include "device/context.hpp"

namespace switchyard::comm {

// All outlive whoever is given them. The first two are of the same ranks.
struct Resources {
  Communicator& communicator;
  DataPlane& data_plane;
  device::Context& context;
  DataPlane* replicas = nullptr;  // of the ranks that host the same experts; null: each has its own
};

}  // namespace switchyard::comm
