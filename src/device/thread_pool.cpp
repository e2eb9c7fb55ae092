#include "device/thread_pool.hpp"

#include "base/contract.hpp"
#include "base/floating_point.hpp"
#include "device/single_threaded_libraries.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace switchyard::device {
namespace {

// About 20 microseconds of spinning: longer than the gap between two loops of a step, shorter than a time slice.
constexpr int spin_rounds = 2000;

thread_local bool inside_task = false;

void relax() {
#if defined(__SSE2__)
  _mm_pause();
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  SY_EXPECTS(threads >= 1, "a pool needs at least one thread, got {}", threads);
  flush_denormals_to_zero();
  use_libraries_single_threaded();
  workers_.reserve(static_cast<std::size_t>(threads - 1));
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_.store(true, std::memory_order_release);
    generation_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(index_t count, Invoke invoke, const void* context) {
  if (count <= 0) return;
  if (workers_.empty() || count == 1 || inside_task) {
    for (index_t i = 0; i < count; ++i) invoke(context, i);
    return;
  }
  invoke_ = invoke;
  context_ = context;
  count_ = count;
  first_failure_ = nullptr;
  next_.store(0, std::memory_order_relaxed);
  busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  {
    const std::lock_guard lock(mutex_);  // a worker about to park must not miss this
    generation_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  take_tasks();
  for (int round = 0; busy_.load(std::memory_order_acquire) != 0; ++round) {
    if (round < spin_rounds) {
      relax();
    } else {
      std::this_thread::yield();
    }
  }
  if (first_failure_) std::rethrow_exception(first_failure_);
}

void ThreadPool::take_tasks() {
  inside_task = true;
  while (true) {
    const index_t i = next_.fetch_add(1, std::memory_order_relaxed);
    if (i >= count_) break;
    try {
      invoke_(context_, i);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!first_failure_) first_failure_ = std::current_exception();
    }
  }
  inside_task = false;
}

void ThreadPool::work() {
  flush_denormals_to_zero();
  use_libraries_single_threaded();
  std::uint64_t seen = 0;
  while (true) {
    int round = 0;
    while (generation_.load(std::memory_order_acquire) == seen && round < spin_rounds) {
      relax();
      ++round;
    }
    if (generation_.load(std::memory_order_acquire) == seen) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return generation_.load(std::memory_order_acquire) != seen; });
    }
    seen = generation_.load(std::memory_order_acquire);
    if (stopping_.load(std::memory_order_acquire)) return;
    take_tasks();
    busy_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace switchyard::device
