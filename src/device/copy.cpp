#include "device/copy.hpp"

#include <cstring>

#include "base/contract.hpp"
#include "device/cuda/backend.hpp"

namespace switchyard::device {
namespace {

void copy_bytes(Context& context, const void* from, void* to, std::size_t bytes,
                cuda::CopyDirection direction) {
  if (bytes == 0) return;
  switch (context.device()) {
    case DeviceKind::cpu:
      std::memcpy(to, from, bytes);
      return;
    case DeviceKind::cuda:
      cuda::copy(to, from, bytes, direction, context.stream());
      return;
  }
}

}  // namespace

std::size_t matching_bytes(std::size_t from_count, std::size_t to_count, std::size_t element_bytes) {
  SY_EXPECTS(from_count == to_count, "a copy of {} elements into {}", from_count, to_count);
  return from_count * element_bytes;
}

void copy_bytes_to_device(Context& context, const void* host, void* device, std::size_t bytes) {
  copy_bytes(context, host, device, bytes, cuda::CopyDirection::to_device);
}
void copy_bytes_to_host(Context& context, const void* device, void* host, std::size_t bytes) {
  copy_bytes(context, device, host, bytes, cuda::CopyDirection::to_host);
}
void copy_bytes_on_device(Context& context, const void* from, void* to, std::size_t bytes) {
  copy_bytes(context, from, to, bytes, cuda::CopyDirection::within_device);
}

}  // namespace switchyard::device
