#include "device/transfer.hpp"

namespace switchyard::device {
namespace {

// What rounding up to the boundary of an array leaves between two neighbours.
bool follows(const std::byte* next, const std::byte* end) {
  return next >= end && next < end + alignment_bytes;
}

}  // namespace

void Upload::send() {
  for (std::size_t i = 0; i < pieces_.size();) {
    const Piece first = pieces_[i];
    std::size_t bytes = first.bytes;
    for (++i; i < pieces_.size(); ++i) {
      const Piece& next = pieces_[i];
      const auto offset = next.host - first.host;
      if (next.device - first.device != offset || !follows(next.host, first.host + bytes)) break;
      bytes = static_cast<std::size_t>(offset) + next.bytes;
    }
    if (bytes == 0) continue;
    ++context_->counters().copies;
    cuda::copy_async(first.device, first.host, bytes, cuda::CopyDirection::to_device, context_->stream());
  }
  pieces_.clear();
}

void place_bytes(Context& context, const Queue& queue, const void* host, void* device, std::size_t bytes) {
  if (bytes == 0) return;
  ++context.counters().copies;
  cuda::copy_async(device, host, bytes, cuda::CopyDirection::to_device, queue.stream());
}

void fetch_bytes(Context& context, const Queue& queue, const void* device, void* host, std::size_t bytes) {
  if (bytes == 0) return;
  ++context.counters().copies;
  cuda::copy_async(host, device, bytes, cuda::CopyDirection::to_host, queue.stream());
}

}  // namespace switchyard::device
