// Requests to stop that arrive as signals.
#pragma once

namespace switchyard::train {

// From now on SIGUSR1, SIGTERM and SIGINT stay pending, and every step asks for them: the run saves and leaves
// with 75. Call it in main's thread before any other thread is there (MPI's, ours): they inherit the mask.
//
// Blocked, not handled: oneDNN's float32 gemm kernels (2.6) keep data below the stack pointer's usual place
// while they run, and the kernel would write a handler's frame over it (uxlfoundation/oneDNN issue 4845).
void block_stop_signals();
bool stop_requested();

}  // namespace switchyard::train
