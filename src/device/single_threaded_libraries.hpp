// Threads of ours call library products one at a time each.
#pragma once

namespace switchyard::device {

// For the calling thread: OpenMP regions inside libraries run with one thread. A oneDNN primitive that was made
// for two threads and is executed inside a parallel region waits for ever.
void use_libraries_single_threaded();

}  // namespace switchyard::device
