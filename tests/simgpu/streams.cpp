#include "simgpu/streams.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "simgpu/current.hpp"
#include "simgpu/faults.hpp"
#include "simgpu/memory.hpp"
#include "simgpu/random.hpp"
#include "simgpu/report.hpp"
#include "simgpu/settings.hpp"

namespace simgpu {
namespace {

std::int64_t issued = 0;
const Operation* running = nullptr;
std::thread::id running_on;

// What a GPU does with float numbers (--ftz=true), on whatever thread it is simulated.
class FlushToZero {
 public:
  FlushToZero() : before_(__builtin_ia32_stmxcsr()) {
    constexpr unsigned flush_to_zero_and_denormals_are_zero = 0x8040;
    __builtin_ia32_ldmxcsr(before_ | flush_to_zero_and_denormals_are_zero);
  }
  ~FlushToZero() { __builtin_ia32_ldmxcsr(before_); }
  FlushToZero(const FlushToZero&) = delete;
  FlushToZero& operator=(const FlushToZero&) = delete;

 private:
  unsigned before_;
};

// Takes waits and marks that are due off the heads of the streams, until an operation or a wait that is not due
// is the head of each.
void settle() {
  bool changed = true;
  while (changed) {
    changed = false;
    for (CUstream_st& stream : handles().streams) {
      while (!stream.operations.empty() && !stream.operations.front().advance) {
        const Operation& head = stream.operations.front();
        if (head.waits_for != nullptr && !head.waits_for->reached) break;
        if (head.marks != nullptr) {
          head.marks->reached = true;
          head.marks->when = std::chrono::steady_clock::now();
        }
        stream.operations.pop_front();
        changed = true;
      }
    }
  }
}

// The streams whose head can run, in the order in which the heads were issued.
std::vector<CUstream_st*> runnable() {
  settle();
  std::vector<CUstream_st*> found;
  for (CUstream_st& stream : handles().streams) {
    if (!stream.operations.empty() && stream.operations.front().advance) found.push_back(&stream);
  }
  std::ranges::sort(found, {}, [](const CUstream_st* s) { return s->operations.front().number; });
  return found;
}

// The stream that has to go on before `stream` can, or itself.
CUstream_st* what_holds_up(CUstream_st* stream) {
  while (stream != nullptr && !stream->operations.empty() && stream->operations.front().waits_for != nullptr) {
    stream = stream->operations.front().waits_for->stream;
  }
  return stream;
}

// Puts the candidates into the order in which they are tried.
void put_in_order(std::vector<CUstream_st*>& candidates, CUstream_st* needed) {
  static Random random(0);
  static std::uint64_t seed = 0;
  const Order& order = settings().order;
  switch (order.kind) {
    case Order::Kind::issue:
    case Order::Kind::at_once:
      return;
    case Order::Kind::latest:
      std::ranges::reverse(candidates);
      return;
    case Order::Kind::needed: {
      CUstream_st* const first = what_holds_up(needed);
      const auto found = std::ranges::find(candidates, first);
      if (found != candidates.end()) std::iter_swap(candidates.begin(), found);
      return;
    }
    case Order::Kind::seeded:
      if (seed != order.seed) {
        seed = order.seed;
        random = Random(seed);
      }
      for (std::size_t i = candidates.size(); i > 1; --i) {
        std::swap(candidates[i - 1], candidates[random.below(static_cast<std::uint32_t>(i))]);
      }
      return;
  }
}

// Whether the head of the stream has ended.
bool run_head(CUstream_st& stream) {
  const FlushToZero as_on_a_gpu;
  running = &stream.operations.front();
  running_on = std::this_thread::get_id();
  const bool ended = running->advance();
  running = nullptr;
  if (ended) stream.operations.pop_front();
  return ended;
}

// Tries one operation after the other until one has ended.
bool run_one_for(CUstream_st* needed) {
  if (lost_code() != 0) return false;
  prepare_thread();
  std::vector<CUstream_st*> candidates = runnable();
  put_in_order(candidates, needed);
  for (CUstream_st* const stream : candidates) {
    if (run_head(*stream)) {
      settle();
      return true;
    }
    if (lost_code() != 0) return false;
  }
  return false;
}

bool all_are_empty() { return std::ranges::all_of(handles().streams, is_empty); }

}  // namespace

Handles& handles() {
  static auto* const all = new Handles;
  return *all;
}

const Operation* running_operation() { return running_on == std::this_thread::get_id() ? running : nullptr; }

bool is_empty(const CUstream_st& stream) { return stream.operations.empty(); }

int device_of(const CUstream_st& stream) { return stream.device; }

CUstream_st& stream_of(Stream handle, std::string_view call) {
  Handles& all = handles();
  if (handle == nullptr) {
    const auto device = static_cast<std::size_t>(current_device());
    if (all.default_streams.size() <= device) all.default_streams.resize(device + 1, nullptr);
    if (all.default_streams[device] == nullptr) {
      all.streams.push_back({.device = current_device()});
      all.default_streams[device] = &all.streams.back();
    }
    return *all.default_streams[device];
  }
  for (CUstream_st& stream : all.streams) {
    if (&stream != handle) continue;
    if (stream.is_destroyed) {
      print_stack(stream.origin);
      mistake(fmt::format("{} with a destroyed stream (of {})", call, describe(stream.origin)));
    }
    return stream;
  }
  mistake(fmt::format("{} with {}, which is no stream", call, static_cast<const void*>(handle)));
}

void issue(Stream handle, Operation operation) {
  CUstream_st& stream = stream_of(handle, operation.name);
  operation.number = ++issued;
  operation.origin = origin_of(operation.name);
  stream.operations.push_back(std::move(operation));
  if (settings().order.kind == Order::Kind::at_once && running == nullptr) {
    while (run_one_for(&stream)) {
    }
  }
}

void issue_work(Stream stream, std::string name, std::function<void()> run) {
  issue(stream, {.name = std::move(name), .advance = [run = std::move(run)] {
                   run();
                   return true;
                 }});
}

void issue_mark(Stream stream, std::shared_ptr<Mark> mark) {
  mark->stream = &stream_of(stream, "cudaEventRecord");
  issue(stream, {.name = "record", .marks = std::move(mark)});
  settle();
}

void issue_wait(Stream stream, std::shared_ptr<Mark> mark) {
  issue(stream, {.name = "wait", .waits_for = std::move(mark)});
}

void run_until(CUstream_st* stream, const std::function<bool()>& done) {
  add_to_count("host wait");
  while (true) {
    {
      const std::scoped_lock lock(device_lock());
      settle();
      if (lost_code() != 0 || done()) break;
      if (run_one_for(stream)) continue;
    }
    // What is left waits for another process or thread, or never ends.
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  const std::scoped_lock lock(device_lock());
  if (lost_code() == 0) Memory::instance().check_canaries("at a wait");
}

void run_all() { run_until(nullptr, all_are_empty); }

bool run_one() {
  const std::scoped_lock lock(device_lock());
  return run_one_for(nullptr);
}

bool make_progress() { return run_one(); }

void enqueue(Stream stream, std::string name, std::function<void()> run) {
  enqueue_until_done(stream, std::move(name), [run = std::move(run)] {
    run();
    return true;
  });
}

void enqueue_until_done(Stream stream, std::string name, std::function<bool()> advance) {
  const std::scoped_lock lock(device_lock());
  add_to_count("work " + name);
  issue(stream, {.name = std::move(name), .advance = std::move(advance)});
}

void recover_device() {
  {
    const std::scoped_lock lock(device_lock());
    for (CUstream_st& stream : handles().streams) stream.operations.clear();
  }
  lose_device(0);
}

}  // namespace simgpu
