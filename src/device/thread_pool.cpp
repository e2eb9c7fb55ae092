#include "device/thread_pool.hpp"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "base/contract.hpp"
#include "base/thread.hpp"
#include "device/describe.hpp"
#include "device/single_threaded_libraries.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace switchyard::device {
namespace {

// Longer than most gaps between two loops of a step and than a wake-up, far shorter than a time slice
// (milliseconds).
constexpr auto spin_where_threads_have_cores = std::chrono::microseconds(50);
// Where they share cores, who spins keeps another thread from its work.
constexpr auto spin_where_threads_share_cores = std::chrono::microseconds(2);

constexpr std::uint32_t open = std::uint32_t{1} << 31;

thread_local bool inside_task = false;

void relax() {
#if defined(__SSE2__)
  _mm_pause();
#endif
}

// Returns when `value` is no longer `old`: spins for a while, then sleeps until it is notified.
void wait_while_equal(const std::atomic<std::uint32_t>& value, std::uint32_t old,
                      std::chrono::microseconds spin_time) {
  constexpr int rounds_between_looks_at_the_clock = 16;
  const auto deadline = std::chrono::steady_clock::now() + spin_time;
  do {
    for (int round = 0; round < rounds_between_looks_at_the_clock; ++round) {
      if (value.load(std::memory_order_acquire) != old) return;
      relax();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  value.wait(old, std::memory_order_acquire);
}

void set_up_thread() {
  flush_denormals_to_zero();
  use_libraries_single_threaded();
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  SY_EXPECTS(threads >= 1, "a pool needs at least one thread, got {}", threads);
  set_up_thread();
  const bool have_cores = as_size(threads) <= allowed_processors().size();
  spin_time_ = have_cores ? spin_where_threads_have_cores : spin_where_threads_share_cores;
  workers_.reserve(as_size(threads - 1));
  try {
    for (int i = 1; i < threads; ++i)
      workers_.push_back(start_thread(fmt::format("thread {} of {}", i + 1, threads), [this] { work(); }));
  } catch (...) {
    end_workers();  // no destructor will
    throw;
  }
}

ThreadPool::~ThreadPool() { end_workers(); }

void ThreadPool::end_workers() {
  stopping_.store(true, std::memory_order_relaxed);
  generation_.fetch_add(1);
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(index_t count, Invoke invoke, const void* context) {
  if (count <= 0) return;
  if (workers_.empty() || count == 1 || inside_task) return run_inline(count, invoke, context);
  invoke_ = invoke;
  context_ = context;
  count_ = count;
  next_.store(0, std::memory_order_relaxed);
  loop_.store(open, std::memory_order_release);
  generation_.fetch_add(1);
  generation_.notify_all();
  take_tasks();
  close_loop_and_wait();
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void ThreadPool::run_inline(index_t count, Invoke invoke, const void* context) {
  std::exception_ptr failure;
  for (index_t i = 0; i < count; ++i) {
    try {
      invoke(context, i);
    } catch (...) {
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

void ThreadPool::take_tasks() {
  inside_task = true;
  while (true) {
    const index_t i = next_.fetch_add(1, std::memory_order_relaxed);
    if (i >= count_) break;
    try {
      invoke_(context_, i);
    } catch (...) {
      keep_failure(i);
    }
  }
  inside_task = false;
}

void ThreadPool::keep_failure(index_t i) {
  const std::lock_guard lock(failure_mutex_);
  if (failure_ && failed_index_ < i) return;
  failure_ = std::current_exception();
  failed_index_ = i;
}

bool ThreadPool::enter_loop() {
  std::uint32_t state = loop_.load(std::memory_order_relaxed);
  while ((state & open) != 0) {
    if (loop_.compare_exchange_weak(state, state + 1, std::memory_order_acquire, std::memory_order_relaxed))
      return true;
  }
  return false;
}

void ThreadPool::leave_loop() {
  // 1 before: the caller has closed the loop and this was the last worker in it.
  if (loop_.fetch_sub(1) == 1) loop_.notify_one();
}

void ThreadPool::close_loop_and_wait() {
  std::uint32_t state = loop_.fetch_and(~open, std::memory_order_acquire) & ~open;
  while (state != 0) {
    wait_while_equal(loop_, state, spin_time_);
    state = loop_.load(std::memory_order_acquire);
  }
}

void ThreadPool::work() {
  set_up_thread();
  std::uint32_t seen = 0;
  while (true) {
    wait_while_equal(generation_, seen, spin_time_);
    seen = generation_.load(std::memory_order_acquire);
    if (stopping_.load(std::memory_order_relaxed)) return;
    if (enter_loop()) {
      take_tasks();
      leave_loop();
    }
  }
}

}  // namespace switchyard::device
