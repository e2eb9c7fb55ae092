// Requests to stop that arrive as signals.
#pragma once

namespace switchyard::train {

// From now on SIGUSR1, SIGTERM and SIGINT only set a flag, which every step looks at: the run saves and leaves
// with 75.
void watch_stop_signals();
bool stop_requested();

}  // namespace switchyard::train
