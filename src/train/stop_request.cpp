#include "train/stop_request.hpp"

#include <atomic>
#include <csignal>

namespace switchyard::train {
namespace {

// A signal handler can reach nothing but a variable of the file.
std::atomic<bool> requested{false};
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void note_signal(int) { requested.store(true, std::memory_order_relaxed); }

}  // namespace

void watch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGUSR1, SIGTERM, SIGINT}) sigaction(signal, &action, nullptr);
}

bool stop_requested() { return requested.load(std::memory_order_relaxed); }

}  // namespace switchyard::train
