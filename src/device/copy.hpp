// Copies between host memory and the memory of a context's device. On a CPU both are host memory.
#pragma once

#include <type_traits>

#include "base/span.hpp"
#include "device/context.hpp"
#include "device/cuda/backend.hpp"

namespace switchyard::device {

// Bytes of `count` elements; ContractViolation unless both spans have as many.
std::size_t matching_bytes(std::size_t from_count, std::size_t to_count, std::size_t element_bytes);

void zero_bytes_on_device(Context& context, void* device, std::size_t bytes);
void copy_bytes(Context& context, const void* from, void* to, std::size_t bytes, cuda::CopyDirection direction);

// `host` may be changed when this returns. Kernels launched later see the values.
template <class T>
void copy_to_device(Context& context, std::type_identity_t<Span<const T>> host, std::span<T> device) {
  copy_bytes(context, host.data(), device.data(), matching_bytes(host.size(), device.size(), sizeof(T)),
             cuda::CopyDirection::to_device);
}

// Waits for the kernels launched before; the values are there when this returns.
template <class T>
void copy_to_host(Context& context, std::type_identity_t<Span<const T>> device, std::span<T> host) {
  copy_bytes(context, device.data(), host.data(), matching_bytes(device.size(), host.size(), sizeof(T)),
             cuda::CopyDirection::to_host);
}

// All bits 0. Ordered between the kernels launched before and after, as what follows.
template <class T>
void zero_on_device(Context& context, std::span<T> device) {
  zero_bytes_on_device(context, device.data(), device.size_bytes());
}
// The two places do not overlap.
template <class T>
void copy_on_device(Context& context, std::type_identity_t<Span<const T>> from, std::span<T> to) {
  copy_bytes(context, from.data(), to.data(), matching_bytes(from.size(), to.size(), sizeof(T)),
             cuda::CopyDirection::within_device);
}

}  // namespace switchyard::device
