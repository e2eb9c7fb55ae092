// Where this rank computes.
//
// device: Context (device, threads, queues, workspaces), Buffer, and launch: for_each, for_each_row. cpu/ and
// cuda/ hold what differs.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "device/buffer.hpp"
#include "device/counters.hpp"
#include "device/queue.hpp"
#include "device/waits.hpp"
#include "device/workspace.hpp"

namespace switchyard::device {

class ThreadPool;  // device/thread_pool.hpp: who computes with it

enum class DeviceKind { cpu, cuda };

// How row kernels are executed on the CPU. `concurrent` runs each row with a team of real threads and a
// barrier; it is slow and exists so that tests find a missing sync() or a race without a GPU.
enum class CpuExecutor { serial_teams, concurrent_team };

// One per rank, on main's stack (inside Runtime). Used by one thread at a time, apart from the tasks that its
// pool runs. Everything an op needs to run: the device, the pool, the arenas, and on a GPU the queues.
//
// On a GPU the host only enqueues. What it writes for kernels and reads of theirs lies in host_workspace(), and
// goes over with copies (device/transfer.hpp) that are done when the queue comes to them.
class Context {
 public:
  // A CPU context with `threads` threads.
  explicit Context(int threads);
  // A context of a GPU with queues of its own and `threads` host threads, for what stays on the host. The
  // device becomes the calling thread's current one. Throws CudaError if there is no such device, NotBuilt
  // without CUDA.
  static Context cuda(int device_ordinal, int threads = 1);
  // Tests only: every row kernel runs with a team of `team_size` threads.
  static Context concurrent(int team_size);
  ~Context();
  Context(Context&&) noexcept;
  Context& operator=(Context&&) noexcept;

  DeviceKind device() const { return device_; }
  // Of a GPU, as model_of() says; empty on a CPU.
  const std::string& device_name() const { return device_name_; }
  // Of what kernels read and write.
  MemoryKind memory() const { return workspace_->memory(); }
  CpuExecutor executor() const { return executor_; }
  int team_size() const { return team_size_; }
  // For work of the host: on a GPU nothing is launched from its tasks.
  ThreadPool& pool() { return *pool_; }

  // The memory of a step, for kernels and for the host: on a CPU one and the same.
  Workspace& workspace() { return *workspace_; }
  Workspace& host_workspace() { return host_workspaces_[0] ? *host_workspaces_[current_] : *workspace_; }
  // A new step: all memory of the last one is given back. On a GPU, which may not have come so far, the host's
  // memory is that of the step before the last, for whose end this waits.
  void reset_workspaces();

  // What kernels and copies are enqueued in; and messages between ranks.
  Queue& compute() { return compute_; }
  Queue& messages() { return messages_; }
  // cudaStream_t of compute() on a GPU, null on a CPU.
  void* stream() const { return compute_.stream(); }
  // For a point of a queue of this device; on a CPU one that marks nothing.
  Event make_event() const { return device_ == DeviceKind::cpu ? Event() : Event::cuda(); }

  // Waits until all that was enqueued in compute() so far is done; throws CudaError if it failed. Nothing to
  // wait for on a CPU.
  void wait();
  void wait(const Event& event);
  // Who watches these waits; null: nobody.
  void set_waits(Waits* waits) { waits_ = waits; }

  Counters& counters() { return counters_; }

 private:
  DeviceKind device_ = DeviceKind::cpu;
  std::string device_name_;
  CpuExecutor executor_ = CpuExecutor::serial_teams;
  int team_size_ = 1;
  Queue compute_, messages_;
  Event reached_;                    // of wait()
  std::array<Event, 2> step_ended_;  // that used the host workspace of that number
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<Workspace> workspace_;
  std::array<std::unique_ptr<Workspace>, 2> host_workspaces_;  // null on a CPU
  std::size_t current_ = 0;                                    // of host_workspaces_
  Waits* waits_ = nullptr;
  Counters counters_;
};

}  // namespace switchyard::device
