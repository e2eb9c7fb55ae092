#include "base/stop_signals.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/log.hpp"
#include "base/thread.hpp"

namespace switchyard {
namespace {

// One flag for one process, as the signals are.
std::atomic<bool> asked_to_stop{false};

// Ends listen(): a real-time signal, which nobody else sends.
int end_signal() { return SIGRTMIN; }

sigset_t listened_to() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, end_signal()})
    sigaddset(&signals, signal);
  struct sigaction hang_up {};
  ::sigaction(SIGHUP, nullptr, &hang_up);
  if (hang_up.sa_handler != SIG_IGN) sigaddset(&signals, SIGHUP);  // nohup ignores it
  return signals;
}

}  // namespace

StopSignals::StopSignals(Says says) : says_(says) {
  const sigset_t signals = listened_to();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  thread_ = start_thread("the thread that waits for signals", [this] { listen(); });
}

StopSignals::~StopSignals() {
  pthread_kill(thread_.native_handle(), end_signal());
  thread_.join();
  asked_to_stop = false;
}

void StopSignals::listen() const {
  const sigset_t signals = listened_to();
  bool is_second = false;  // request_stop() is no signal
  int first = 0;
  std::chrono::steady_clock::time_point first_time;
  // The system repeats XCPU every second, and a launcher may pass on what a terminal has sent already.
  const auto is_echo = [&](int signal) {
    return signal == SIGXCPU ||
           (signal == first && std::chrono::steady_clock::now() - first_time < std::chrono::seconds(1));
  };
  while (true) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (signal == end_signal()) return;
    const char* const name = ::sigabbrev_np(signal);
    asked_to_stop = true;
    if (is_second && is_echo(signal)) continue;
    if (std::exchange(is_second, true)) {
      log::say_at_once(fmt::format("got {} after a first signal; ended at once, without a checkpoint", name));
      ::_exit(128 + signal);
    }
    first = signal;
    first_time = std::chrono::steady_clock::now();
    if (says_ == Says::what_it_does)
      log::say_at_once(
          fmt::format("got {}; the run is asked to write a checkpoint and end (again: it ends at once)", name));
  }
}

bool stop_requested() { return asked_to_stop.load(std::memory_order_relaxed); }

void request_stop() { asked_to_stop.store(true, std::memory_order_relaxed); }

}  // namespace switchyard
