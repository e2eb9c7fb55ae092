// How the simulated device behaves, and what it saw: for tests. Whole programs take it from the environment; a
// value that is not understood is a mistake.
//
//   SWITCHYARD_SIMGPU_ORDER          issue | latest | needed | at_once | a seed
//   SWITCHYARD_SIMGPU_KERNELS        serial | fibers | fibers:SEED
//   SWITCHYARD_SIMGPU_HOST_POINTERS  0 | 1
//   SWITCHYARD_SIMGPU_FAIL           call[@site][:n][:code]
//   SWITCHYARD_SIMGPU_MEMORY         bytes of each device
//   SWITCHYARD_SIMGPU_MULTIPROCESSORS  of each device: another model has another number
//   SWITCHYARD_SIMGPU_DEVICES        how many; 0: there is no driver; none: a driver without a device
//   SWITCHYARD_SIMGPU_COUNTS         file to which the counts are appended at exit: a JSON object on a line
//   SWITCHYARD_SIMGPU_SITES          file to which the places that called each function are appended, likewise
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace simgpu {

// Which of the operations that streams and events allow next runs first.
struct Order {
  enum class Kind {
    issue,    // as the host issued them
    latest,   // the one issued last
    needed,   // nothing that the host's wait does not need
    at_once,  // in the call that issues it: hides every missing wait
    seeded
  };
  Kind kind = Kind::issue;
  std::uint64_t seed = 0;
};
void set_order(const Order& order);

// How a kernel runs.
struct KernelThreads {
  enum class Kind {
    serial,  // each row by one thread (SerialTeam): fast
    fibers   // all threads of a block as fibers, in an order drawn from the seed
  };
  Kind kind = Kind::serial;
  std::uint64_t seed = 1;
};
void set_kernel_threads(const KernelThreads& threads);

// Kernels may then read and write memory of the host: for tests that give them arrays of their own.
void allow_host_pointers(bool allowed);

// "call", "call:n" or "call:n:code": the n-th call from now on of this function (n from 1) fails with that
// code; of "call@site", the n-th from this place of the program, as SWITCHYARD_SIMGPU_SITES names it.
// "kernel:n:code": the n-th kernel to run loses the device. "stall:n": the n-th kernel to run never ends.
// Empty: none of these any more.
void plan_failure(const std::string& text);

// Of each device. What is allocated stays.
void set_memory_bytes(std::size_t bytes);
// Makes a lost device whole again, as a new process would find it.
void recover_device();

// How often each was called or ran since clear_counts(): functions of the runtime and of stand-ins by name,
// kernels as "kernel NAME", work of stand-ins as "work NAME", copies as "copy to device", "copy to host", "copy
// on device", bytes of copies as "bytes of ...", and waits of the host as "host wait", of which there is one in
// each cudaFree and each copy to pageable memory, too.
std::map<std::string, std::int64_t> counts();
std::int64_t count(const std::string& name);
void clear_counts();

// What is allocated or open, a sentence each. A process that ends well with any of it has made a mistake.
std::vector<std::string> left_over();

}  // namespace simgpu
