#include "run/host_arrays.hpp"

namespace switchyard::run {

float* HostArrays::place(float* array, index_t count) {
  if (context_->memory() != device::MemoryKind::device) return array;
  return copies_.emplace_back(array, device::Buffer<float>(count)).host.data();
}

void HostArrays::fetch() {
  context_->wait();
  for (Copy& copy : copies_)
    device::copy_back_now(copy.host.data(), copy.array, context_->memory(), copy.host.span().size_bytes());
}

void HostArrays::send() {
  context_->wait();
  for (const Copy& copy : copies_)
    device::copy_now(copy.array, context_->memory(), copy.host.data(), copy.host.span().size_bytes());
}

}  // namespace switchyard::run
