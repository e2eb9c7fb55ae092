// Ranks as threads of one process: for tests, debuggers and ThreadSanitizer.
#pragma once

#include <functional>

#include "comm/communicator.hpp"

namespace switchyard::comm {

// What run_ranks() throws when a rank called Communicator::abort().
class GroupAborted : public MpiError {
 public:
  explicit GroupAborted(ExitCode code);
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

// Runs `body` once per rank, each in a thread of its own with its own communicator, and returns when all have
// returned. Operations block on a condition variable, never busily, so ranks may outnumber cores. Each
// collective is checked (Communicator::set_phase), in every build.
//
// If the body throws on one rank, or that rank calls abort(), the others are woken from whatever operation they
// wait in with an MpiError, and the first exception is thrown here. If all ranks that still run wait for each
// other, or for one that has returned, that is a ContractViolation instead of a hang.
void run_ranks(int ranks, const std::function<void(Communicator&)>& body);

}  // namespace switchyard::comm
