// The pool of threads that this rank computes with.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/ids.hpp"

namespace switchyard::device {

// A pool of `threads` threads, the caller among them. Who waits spins for some microseconds, then sleeps; and a
// loop waits only for workers that took part in it, never for one that has yet to wake. So more threads than
// cores cost little.
//
// Owned by one Context; parallel_for is called by the thread that made the pool, or from inside a task of the
// pool, where it runs inline (nested loops are serial).
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Runs task(i) for i in [0, count), each once, on any thread and in any order; returns when all are done.
  // Tasks therefore write to places of their own. If tasks throw, all others still run, and the failure of the
  // lowest i is thrown again here: the same one with any number of threads.
  template <class Task>
  void parallel_for(index_t count, const Task& task) {
    run(
        count, [](const void* context, index_t i) { (*static_cast<const Task*>(context))(i); }, &task);
  }

 private:
  using Invoke = void (*)(const void*, index_t);
  void run(index_t count, Invoke invoke, const void* context);
  void run_inline(index_t count, Invoke invoke, const void* context);
  void work();
  void end_workers();
  void take_tasks();
  void keep_failure(index_t i);
  bool enter_loop();
  void leave_loop();
  void close_loop_and_wait();

  // The loop that runs now: written by the caller while the loop is closed, read by workers that entered it.
  Invoke invoke_ = nullptr;
  const void* context_ = nullptr;
  index_t count_ = 0;
  std::atomic<index_t> next_{0};  // hands out indices

  // Bit 31: the loop is open; below: how many workers are in it. The caller closes the loop when all indices
  // are handed out, and waits until this is 0.
  std::atomic<std::uint32_t> loop_{0};
  // Counts loops; workers wait for it to change.
  std::atomic<std::uint32_t> generation_{0};
  std::atomic<bool> stopping_{false};

  std::mutex failure_mutex_;
  std::exception_ptr failure_;
  index_t failed_index_ = 0;

  std::chrono::microseconds spin_time_{0};
  std::vector<std::thread> workers_;
};

}  // namespace switchyard::device
