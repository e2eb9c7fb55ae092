#include "train/stop_request.hpp"

#include <csignal>

namespace switchyard::train {
namespace {

constexpr int stop_signals[] = {SIGUSR1, SIGTERM, SIGINT};

}  // namespace

void block_stop_signals() {
  sigset_t mask;
  sigemptyset(&mask);
  for (const int signal : stop_signals) sigaddset(&mask, signal);
  sigprocmask(SIG_BLOCK, &mask, nullptr);
}

bool stop_requested() {
  sigset_t pending;
  sigemptyset(&pending);
  sigpending(&pending);
  for (const int signal : stop_signals) {
    if (sigismember(&pending, signal) == 1) return true;
  }
  return false;
}

}  // namespace switchyard::train
