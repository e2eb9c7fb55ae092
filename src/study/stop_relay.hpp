// Carries a request to stop from one group of ranks to all others.
#pragma once

#include <filesystem>
#include <thread>

namespace switchyard::study {

// Groups make runs of their own and meet only when all are done, so a signal that reached one rank would not
// reach the rest. Until its end the thread looks every half second whether this process was asked to stop
// (then it makes the file `mark`) and whether `mark` is there (then it asks this process:
// base/stop_signals.hpp). Makes no MPI call.
std::jthread relay_stop(std::filesystem::path mark);

}  // namespace switchyard::study
