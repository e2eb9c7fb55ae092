// The pool of threads that this rank computes with.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "base/ids.hpp"

namespace switchyard::device {

// A pool of `threads` threads, the caller among them. Workers spin briefly for the next loop, then park, so that
// more threads than cores cost little.
//
// Owned by one Context; parallel_for may be called by the thread that made the pool, or from inside a task of the
// pool, where it runs inline (nested loops are serial).
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Runs task(i) for i in [0, count), each once, on any thread and in any order; returns when all are done. Tasks
  // therefore write to places of their own. The first exception is thrown again here, after all tasks ended.
  template <class Task>
  void parallel_for(index_t count, const Task& task) {
    run(count, [](const void* context, index_t i) { (*static_cast<const Task*>(context))(i); }, &task);
  }

 private:
  using Invoke = void (*)(const void*, index_t);
  void run(index_t count, Invoke invoke, const void* context);
  void work();
  void take_tasks();

  // One loop at a time. next_ hands out indices; busy_ counts workers that have not left the loop yet.
  Invoke invoke_ = nullptr;
  const void* context_ = nullptr;
  index_t count_ = 0;
  std::atomic<index_t> next_{0};
  std::atomic<int> busy_{0};
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::exception_ptr first_failure_;
  std::vector<std::thread> workers_;
};

}  // namespace switchyard::device
