// For tests that run under mpirun.
#pragma once

#include "comm/communicator.hpp"
#include "comm/mpi/mpi_session.hpp"

namespace switchyard::comm {

// All ranks that mpirun started, and where more groups of them come from. Valid while tests run.
Communicator& test_world();
MpiSession& test_mpi_session();

}  // namespace switchyard::comm
