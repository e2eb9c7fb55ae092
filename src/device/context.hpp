// Where this rank computes.
//
// device: Context (device, threads, stream, workspace), Buffer, and launch: for_each, for_each_row. cpu/ and
// cuda/ hold what differs.
#pragma once

#include <memory>

#include "base/unique_handle.hpp"
#include "device/buffer.hpp"
#include "device/cuda/backend.hpp"
#include "device/workspace.hpp"

namespace switchyard::device {

class ThreadPool;  // device/thread_pool.hpp: who computes with it

// How row kernels are executed on the CPU. `concurrent` runs each row with a team of real threads and a
// barrier; it is slow and exists so that tests find a missing sync() or a race without a GPU.
enum class CpuExecutor { serial_teams, concurrent_team };

// A cudaStream_t, the queue of work of a GPU, as void* so that only cuda/ sees CUDA's headers. Null on a CPU.
struct StreamTraits {
  using Handle = void*;
  static Handle none() noexcept { return nullptr; }
  static void close(Handle stream) noexcept { device::cuda::close_stream(stream); }
};
using Stream = UniqueHandle<StreamTraits>;

// One per rank, on main's stack (inside Runtime). Used by one thread at a time, apart from the tasks that its
// pool runs. Everything an op needs to run: the device, the pool, the arena, and on a GPU the stream.
class Context {
 public:
  // A CPU context with `threads` threads.
  explicit Context(int threads);
  // A context of a GPU with a stream of its own and `threads` host threads, for what stays on the host. The
  // device becomes the calling thread's current one. Throws CudaError if there is no such device, NotBuilt
  // without CUDA.
  static Context cuda(int device_ordinal, int threads = 1);
  // Tests only: every row kernel runs with a team of `team_size` threads.
  static Context concurrent(int team_size);
  ~Context();
  Context(Context&&) noexcept;
  Context& operator=(Context&&) noexcept;

  DeviceKind device() const { return device_; }
  CpuExecutor executor() const { return executor_; }
  int team_size() const { return team_size_; }
  ThreadPool& pool() { return *pool_; }
  Workspace& workspace() { return *workspace_; }
  // cudaStream_t on a GPU, null on a CPU.
  void* stream() const { return stream_.get(); }
  // Waits until all kernels launched so far have ended; throws CudaError if one failed. Nothing to wait for on
  // a CPU.
  void synchronise();

 private:
  DeviceKind device_ = DeviceKind::cpu;
  CpuExecutor executor_ = CpuExecutor::serial_teams;
  int team_size_ = 1;
  Stream stream_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<Workspace> workspace_;
};

}  // namespace switchyard::device
