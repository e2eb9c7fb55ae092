// Values of a step that the host makes for kernels, and those that kernels make for the host.
#pragma once

#include <cstddef>
#include <vector>

#include "base/span.hpp"
#include "device/context.hpp"

namespace switchyard::device {

// One array in two places; on a CPU the same place.
template <class T>
struct Placed {
  Span<T> host, device;
};

// Arrays of a step, in the memory of both sides, that go to the device together: in a warm step, where each
// arena is one block, with one copy. Kept by its owner, so that it allocates nothing.
class Upload {
 public:
  void begin(Context& context) {
    context_ = &context;
    pieces_.clear();
  }
  template <class T>
  Placed<T> allocate(index_t count) {
    const Span<T> device = context_->workspace().allocate<T>(count);
    if (context_->memory() != MemoryKind::device) return {device, device};
    const Span<T> host = context_->host_workspace().allocate<T>(count);
    pieces_.push_back({reinterpret_cast<const std::byte*>(host.data()),
                       reinterpret_cast<std::byte*>(device.data()), bytes_of(count, sizeof(T))});
    return {host, device};
  }
  // Kernels launched from here on see what the host has written, which it leaves as it is.
  void send();

 private:
  struct Piece {
    const std::byte* host;
    std::byte* device;
    std::size_t bytes;
  };
  Context* context_ = nullptr;
  std::vector<Piece> pieces_;
};

// In a queue of the context's.
void place_bytes(Context& context, const Queue& queue, const void* host, void* device, std::size_t bytes);
void fetch_bytes(Context& context, const Queue& queue, const void* device, void* host, std::size_t bytes);

// Values in host_workspace() for kernels that are launched from here on, in the step's memory; the host leaves
// them as they are. On a CPU the very place.
template <class T>
Span<T> place(Context& context, Span<T> host) {
  if (context.memory() != MemoryKind::device) return host;
  const Span<T> device = context.workspace().allocate<T>(std::ssize(host));
  place_bytes(context, context.compute(), host.data(), device.data(), host.size_bytes());
  return device;
}

// A copy for the host, in its step's memory: there once Context::wait() has returned. On a CPU the very place.
template <class T>
Span<T> fetch(Context& context, Span<T> device) {
  if (context.memory() != MemoryKind::device) return device;
  const Span<std::remove_const_t<T>> host =
      context.host_workspace().allocate<std::remove_const_t<T>>(std::ssize(device));
  fetch_bytes(context, context.compute(), device.data(), host.data(), device.size_bytes());
  return host;
}

// An array of the context's memory with these values, for as long as its owner lives. Blocking: for tables that
// are made once.
template <class T>
Buffer<T> make_table(MemoryKind memory, Span<const T> values) {
  Buffer<T> table(std::ssize(values), memory);
  copy_now(table.data(), memory, values.data(), values.size_bytes());
  return table;
}

}  // namespace switchyard::device
