
#include "conformance/comm/harness.hpp"
#include "support/mpi_main.hpp"

namespace switchyard::comm {

// Called before main, and so before MPI is there: the world is looked up when a test runs.
std::vector<Harness> harnesses() {
  return {{"mpi", [](const std::function<void(Communicator&)>& body) { body(test_world()); }}};
}

}  // namespace switchyard::comm
