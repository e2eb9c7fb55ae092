// Whom a rank talks to and what it computes on, where both are needed.
#pragma once

#include "comm/communicator.hpp"
#include "device/context.hpp"

namespace switchyard::comm {

// Both outlive whoever is given them.
struct Resources {
  Communicator& communicator;
  device::Context& context;
};

}  // namespace switchyard::comm
