// For tests that run under mpirun.
#pragma once

#include "comm/communicator.hpp"

namespace switchyard::comm {

// All ranks that mpirun started. Valid while tests run.
Communicator& test_world();

}  // namespace switchyard::comm
