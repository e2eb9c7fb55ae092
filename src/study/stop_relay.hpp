// Carries a request to stop from one group of ranks to all others.
#pragma once

#include <filesystem>
#include <stop_token>
#include <thread>

namespace switchyard::study {

// Groups make runs of their own and meet only when all are done, so a signal that reached one rank would not
// reach the rest. While this lives, a thread looks every half second whether this process was asked to stop
// (then it makes the file `mark`) and whether `mark` is there (then it asks this process:
// base/stop_signals.hpp). Makes no MPI call.
class StopRelay {
 public:
  explicit StopRelay(std::filesystem::path mark);

 private:
  static void watch(const std::stop_token& ends, const std::filesystem::path& mark);

  std::jthread thread_;  // its destructor ends and joins it
};

}  // namespace switchyard::study
