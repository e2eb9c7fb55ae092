// Requests to stop that arrive as signals.
#pragma once

#include <atomic>
#include <thread>

namespace switchyard {

// While it lives, HUP, INT, TERM, USR1, USR2 and XCPU only ask this process to stop: the first one is noted,
// and whoever has something to save asks stop_requested(); a second one ends the process at once, with 128 +
// its number. The same one within a second and a further XCPU are echoes of the first; a HUP that nohup ignores
// stays ignored. One per process, made in main's thread before any other thread is there (MPI's, ours): they
// inherit the mask.
//
// The signals are blocked, and a thread of its own waits for them. No handler runs in a thread that computes:
// oneDNN's float32 gemm kernels (2.6) keep data below the stack pointer's usual place while they run, and the
// kernel would write a handler's frame over it (uxlfoundation/oneDNN issue 4845).
class StopSignals {
 public:
  // `says`: whether this process tells the user what the first signal does.
  enum class Says { nothing, what_it_does };
  explicit StopSignals(Says says);
  ~StopSignals();  // forgets a request
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  void listen() const;

  Says says_;
  std::thread thread_;
};

// Whether a signal, or request_stop(), asked this process to stop. Local: ranks must agree before they act on
// it.
bool stop_requested();
// As a first signal would. Any thread.
void request_stop();

}  // namespace switchyard
