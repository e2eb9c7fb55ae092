// What the simulated device offers to the stand-ins of libraries that run on it (cublasLt, NCCL). They are
// shared libraries that the program opens at run time; these functions are the program's own, which exports
// them.
//
// Threads: any may call; one lock guards the device, and work runs with it held. No function here returns an
// error for a mistake of the program under test: it says what is wrong and ends the process
// (mistake_exit_code).
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

struct CUstream_st;  // cudaStream_t points to it

namespace simgpu {

using Stream = CUstream_st*;

// A mistake that a GPU would not have shown, or shown elsewhere: of the program, never of the machine.
inline constexpr int mistake_exit_code = 70;
[[noreturn]] void mistake(const std::string& sentence);

// ---- Memory. What cudaMalloc gives lies in a window that nobody can read; the same bytes lie in a second one,
// which work on the device reads and writes.
enum class MemoryKind {
  device,    // of cudaMalloc
  pinned,    // of cudaMallocHost
  pageable,  // all other memory of the process
  none       // in the windows of the device, but in no allocation
};

struct Place {
  MemoryKind kind = MemoryKind::pageable;
  std::byte* readable = nullptr;  // in the second window if `kind` is device, else the pointer itself
  std::size_t bytes_left = 0;     // from the pointer to the end of its allocation; 0 if pageable or none
  int device = 0;                 // ordinal, if `kind` is device
  std::string allocation;         // for messages: "4096 bytes of cudaMalloc, its call 3"
};
Place place_of(const void* pointer);

// The readable place of `bytes` bytes at `pointer`, which must lie within one allocation of the device. If they
// do not, it is a mistake of `user`: the name of the call and of its argument, as in "cublasLtMatmul: A".
std::byte* device_range(const void* pointer, std::size_t bytes, std::string_view user);

// ---- Work. All of it is deferred: it runs while the host waits (cudaStreamSynchronize, cudaEventSynchronize,
// a query, a blocking copy), one operation at a time, in any order that streams and events allow. So what an
// operation needs of the host is taken at the call, and what it does to memory is done in `run`.

// `name` is what counters and messages call it. `stream` may be null (the default stream). A mistake if the
// stream does not exist. `run` makes no call of the runtime, and throws nothing.
void enqueue(Stream stream, std::string name, std::function<void()> run);

// For operations that need other processes or threads: `advance` does what can be done now, without waiting,
// and returns whether the operation has ended. Other streams go on in between.
void enqueue_until_done(Stream stream, std::string name, std::function<bool()> advance);

// Work that can run now does, one operation or one advance() at most; whether there was any. For loops of the
// host that wait for something else than the device, such as another process.
bool make_progress();

// ---- Faults and counts. Each function of a stand-in begins with it: counts the call, and gives the code to
// fail with if this call shall fail (SWITCHYARD_SIMGPU_FAIL, control.hpp; `default_code` without a code).
std::optional<int> enter(std::string_view call, int default_code);

// From now on each call of the runtime fails with this code of the runtime (cudaErrorLaunchFailure is 719), as
// after a kernel that faulted.
void lose_device(int code);
// The code that lose_device() was given; 0 before.
int lost_code();

}  // namespace simgpu
