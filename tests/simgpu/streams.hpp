// Streams and events: what the host has issued and the device has not done yet.
//
// Nothing runs but inside the host's waits, one operation at a time, on the thread that waits, with
// device_lock() held. Which operation comes next is chosen among the heads of the streams (Order).
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "simgpu/device.hpp"
#include "simgpu/origin.hpp"

namespace simgpu {

// A place in a stream that an event was recorded at.
struct Mark {
  CUstream_st* stream = nullptr;
  bool reached = false;
  std::chrono::steady_clock::time_point when;
};

struct Operation {
  std::int64_t number = 0;  // in the order of issue, over all streams
  std::string name;
  Origin origin{};
  std::function<bool()> advance{};    // whether it has ended; empty for the two below
  std::shared_ptr<Mark> waits_for{};  // nothing behind it starts before the mark is reached
  std::shared_ptr<Mark> marks{};      // reached when all before it has ended
};

// The operation that runs on this thread, or null: for messages.
const Operation* running_operation();

// Puts work into a stream, with the stack of the call that issues it.
void issue(Stream stream, Operation operation);
void issue_work(Stream stream, std::string name, std::function<void()> run);
void issue_mark(Stream stream, std::shared_ptr<Mark> mark);
void issue_wait(Stream stream, std::shared_ptr<Mark> mark);

// Runs until `done`, which needs what lies in `stream` now. Returns at once if the device is lost. Not with
// device_lock() held.
void run_until(CUstream_st* stream, const std::function<bool()>& done);
void run_all();
// One operation, if there is one that can run.
bool run_one();

bool is_empty(const CUstream_st& stream);

// The stream of a handle that the program gives; null is the default stream of the current device. A mistake of
// `call` if there is none.
CUstream_st& stream_of(Stream handle, std::string_view call);
int device_of(const CUstream_st& stream);

}  // namespace simgpu

struct CUstream_st {
  int device = 0;
  bool is_destroyed = false;
  simgpu::Origin origin{};
  std::deque<simgpu::Operation> operations{};
};

struct CUevent_st {
  bool has_time = false;
  bool is_destroyed = false;
  simgpu::Origin origin{};
  std::shared_ptr<simgpu::Mark> last{};  // null: never recorded
};

namespace simgpu {

struct Handles {
  // Never shortened: a destroyed handle stays known.
  std::deque<CUstream_st> streams;
  std::deque<CUevent_st> events;
  std::deque<CUstream_st*> default_streams;  // by device, made when first used
};
Handles& handles();

}  // namespace simgpu
