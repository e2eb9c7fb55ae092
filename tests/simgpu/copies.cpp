#include "simgpu/copies.hpp"

#include <fmt/format.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "simgpu/device.hpp"
#include "simgpu/faults.hpp"
#include "simgpu/memory.hpp"
#include "simgpu/settings.hpp"
#include "simgpu/streams.hpp"

namespace simgpu {
namespace {

bool is_host(MemoryKind kind) { return kind == MemoryKind::pinned || kind == MemoryKind::pageable; }

std::string name_of(MemoryKind kind) {
  switch (kind) {
    case MemoryKind::device:
      return "device memory";
    case MemoryKind::pinned:
      return "pinned memory";
    case MemoryKind::pageable:
      return "pageable memory";
    case MemoryKind::none:
      return "no allocation";
  }
  return {};
}

std::uint64_t hash_of(const void* data, std::size_t bytes) {
  return std::hash<std::string_view>{}({static_cast<const char*>(data), bytes});
}

// One end of a copy, which must hold `bytes` bytes.
Place end_of_copy(const void* pointer, std::size_t bytes, const char* call, const char* end) {
  Place place = place_of(pointer);
  if (place.kind == MemoryKind::none) {
    mistake(fmt::format("{}: the {} lies in no allocation: {}", call, end,
                        Memory::instance().describe_near(reinterpret_cast<std::uintptr_t>(pointer))));
  }
  if (place.kind != MemoryKind::pageable && bytes > place.bytes_left) {
    mistake(fmt::format("{}: overrun, {} bytes where {} are left of {} (the {})", call, bytes, place.bytes_left,
                        place.allocation, end));
  }
  return place;
}

cudaMemcpyKind kind_between(MemoryKind to, MemoryKind from) {
  if (is_host(from)) return is_host(to) ? cudaMemcpyHostToHost : cudaMemcpyHostToDevice;
  return is_host(to) ? cudaMemcpyDeviceToHost : cudaMemcpyDeviceToDevice;
}

const char* name_of(cudaMemcpyKind kind) {
  switch (kind) {
    case cudaMemcpyHostToHost:
      return "copy on host";
    case cudaMemcpyHostToDevice:
      return "copy to device";
    case cudaMemcpyDeviceToHost:
      return "copy to host";
    case cudaMemcpyDeviceToDevice:
      return "copy on device";
    case cudaMemcpyDefault:
      break;
  }
  return "copy";
}

// A copy whose ends were looked at. The pointers are as the program gave them.
struct Copy {
  void* to;
  const void* from;
  std::size_t bytes;
  const char* call;
};

// Pinned memory may have been freed since the call, which then finds it in no allocation. Device memory is not
// freed before the work that was issued has ended.
void* still_there(const void* pointer, const Copy& copy) {
  const Place place = place_of(pointer);
  if (place.kind == MemoryKind::none) {
    mistake(fmt::format("{}: use after free, {}", copy.call,
                        Memory::instance().describe_near(reinterpret_cast<std::uintptr_t>(pointer))));
  }
  return place.readable;
}

std::function<void()> plain(const Copy& copy) {
  return [copy] { std::memcpy(still_there(copy.to, copy), still_there(copy.from, copy), copy.bytes); };
}

// As CUDA, which has a copy of its own when the call returns.
std::function<void()> from_pageable(const Copy& copy) {
  const auto* const begin = static_cast<const std::byte*>(copy.from);
  const auto kept = std::make_shared<std::vector<std::byte>>(begin, begin + copy.bytes);
  return [copy, kept] { std::memcpy(still_there(copy.to, copy), kept->data(), copy.bytes); };
}

std::function<void()> from_pinned(const Copy& copy) {
  return [copy, hash = hash_of(copy.from, copy.bytes)] {
    const void* const source = still_there(copy.from, copy);
    if (hash_of(source, copy.bytes) != hash) {
      mistake(
          fmt::format("{}: the host changed the source too early, {} ({} bytes of it are copied after the call "
                      "has returned)",
                      copy.call, place_of(copy.from).allocation, copy.bytes));
    }
    std::memcpy(still_there(copy.to, copy), source, copy.bytes);
  };
}

std::function<void()> work_of(const Copy& copy, cudaMemcpyKind kind, MemoryKind source, MemoryKind target) {
  if (kind == cudaMemcpyHostToDevice) {
    return source == MemoryKind::pageable ? from_pageable(copy) : from_pinned(copy);
  }
  // What a host reads before the copy has ended shows.
  if (target == MemoryKind::pinned) std::memset(copy.to, poison, copy.bytes);
  return plain(copy);
}

void check_no_overlap(const Copy& copy) {
  const auto to = reinterpret_cast<std::uintptr_t>(copy.to);
  const auto from = reinterpret_cast<std::uintptr_t>(copy.from);
  if (to < from + copy.bytes && from < to + copy.bytes) {
    mistake(fmt::format("{}: the two places overlap, in {}", copy.call, place_of(copy.from).allocation));
  }
}

void run_stream(cudaStream_t handle, const char* call) {
  CUstream_st* stream = nullptr;
  {
    const std::scoped_lock lock(device_lock());
    stream = &stream_of(handle, call);
  }
  run_until(stream, [stream] { return is_empty(*stream); });
}

}  // namespace

void copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream, Wait wait,
          const char* call) {
  if (bytes == 0) return;
  {
    const std::scoped_lock lock(device_lock());
    (void)stream_of(stream, call);
    const Place target = end_of_copy(to, bytes, call, "target");
    const Place source = end_of_copy(from, bytes, call, "source");
    const cudaMemcpyKind found = kind_between(target.kind, source.kind);
    if (kind != cudaMemcpyDefault && kind != found && !settings().host_pointers) {
      mistake(
          fmt::format("{}: wrong direction, it asks for a {} and gets {} as its target and {} as its source",
                      call, name_of(kind), name_of(target.kind), name_of(source.kind)));
    }
    const Copy mine{to, from, bytes, call};
    check_no_overlap(mine);
    add_to_count(name_of(found));
    add_to_count(std::string("bytes of ") + name_of(found), static_cast<std::int64_t>(bytes));
    issue_work(stream, name_of(found), work_of(mine, found, source.kind, target.kind));
    if (target.kind == MemoryKind::pageable) wait = Wait::always;
  }
  if (wait == Wait::always) run_stream(stream, call);
}

void fill(void* to, int value, std::size_t bytes, cudaStream_t stream, const char* call) {
  if (bytes == 0) return;
  const std::scoped_lock lock(device_lock());
  const bool is_allowed_host = settings().host_pointers && is_host(place_of(to).kind);
  std::byte* const place = is_allowed_host ? static_cast<std::byte*>(to) : device_range(to, bytes, call);
  add_to_count("fill");
  issue_work(stream, "fill", [place, value, bytes] { std::memset(place, value, bytes); });
}

}  // namespace simgpu
