#include "device/copy.hpp"

#include <cstring>

#include "base/contract.hpp"

namespace switchyard::device {

std::size_t matching_bytes(std::size_t from_count, std::size_t to_count, std::size_t element_bytes) {
  SY_EXPECTS(from_count == to_count, "a copy of {} elements into {}", from_count, to_count);
  return from_count * element_bytes;
}

void zero_bytes_on_device(Context& context, void* device, std::size_t bytes) {
  if (bytes == 0) return;
  if (context.device() == DeviceKind::cuda) return cuda::zero_async(device, bytes, context.stream());
  std::memset(device, 0, bytes);
}

void copy_bytes(Context& context, const void* from, void* to, std::size_t bytes,
                cuda::CopyDirection direction) {
  if (bytes == 0) return;
  if (context.device() == DeviceKind::cuda) {
    cuda::copy_async(to, from, bytes, direction, context.stream());
    if (direction != cuda::CopyDirection::within_device) context.wait();
    return;
  }
  std::memcpy(to, from, bytes);
}

}  // namespace switchyard::device
