// The order in which a device works: queues, and events that mark a point of one for another, or for the host.
#pragma once

#include "base/unique_handle.hpp"
#include "device/cuda/backend.hpp"

namespace switchyard::device {

// Of a CPU: what is enqueued is done, and there is nothing to wait for. Handles are cudaStream_t and
// cudaEvent_t as void*, so that only cuda/ sees CUDA's headers.
struct StreamTraits {
  using Handle = void*;
  static Handle none() noexcept { return nullptr; }
  static void close(Handle stream) noexcept { cuda::close_stream(stream); }
};
struct EventTraits {
  using Handle = void*;
  static Handle none() noexcept { return nullptr; }
  static void close(Handle event) noexcept { cuda::close_event(event); }
};

class Queue;

class Event {
 public:
  Event() = default;
  // Of the calling thread's current GPU.
  static Event cuda() { return Event(cuda::open_event()); }

  // Marks what the queue holds now, in place of what was marked before. Returns at once.
  void record(const Queue& queue);
  // Whether what was marked is done. CudaError if it failed.
  bool is_over() const { return !event_ || cuda::is_over(event_.get()); }
  void* handle() const { return event_.get(); }
  // Whether there is one to be waited for: none on a CPU.
  explicit operator bool() const { return static_cast<bool>(event_); }

 private:
  explicit Event(void* event) : event_(event) {}
  UniqueHandle<EventTraits> event_;
};

class Queue {
 public:
  Queue() = default;
  static Queue cuda() { return Queue(cuda::open_stream()); }

  // What is enqueued from here on comes after what the event marks. Returns at once.
  void wait_for(const Event& event) {
    if (stream_) cuda::wait_for(stream_.get(), event.handle());
  }
  void* stream() const { return stream_.get(); }

 private:
  explicit Queue(void* stream) : stream_(stream) {}
  UniqueHandle<StreamTraits> stream_;
};

inline void Event::record(const Queue& queue) {
  if (event_) cuda::record(event_.get(), queue.stream());
}

}  // namespace switchyard::device
