// Products on the simulated device: arrays in its memory, and threads, whose choices are their own.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <exception>
#include <thread>
#include <vector>

#include "device/buffer.hpp"
#include "device/context.hpp"
#include "simgpu/control.hpp"

namespace switchyard::ops {

template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(const std::vector<T>& values) : buffer_(std::ssize(values), device::MemoryKind::device) {
    device::copy_now(buffer_.data(), device::MemoryKind::device, values.data(), values.size() * sizeof(T));
  }
  T* data() { return buffer_.data(); }
  // Once all is done that the context has enqueued.
  std::vector<T> values(device::Context& context) {
    context.wait();
    std::vector<T> host(static_cast<std::size_t>(buffer_.count()));
    device::copy_back_now(host.data(), buffer_.data(), device::MemoryKind::device, host.size() * sizeof(T));
    return host;
  }

 private:
  device::Buffer<T> buffer_;
};

// body(context) on a thread that has decided nothing yet.
inline void on_new_thread(const auto& body) {
  std::exception_ptr thrown;
  std::thread([&] {
    try {
      device::Context context = device::Context::cuda(0);
      body(context);
      context.wait();
    } catch (...) {
      thrown = std::current_exception();
    }
  }).join();
  if (thrown) std::rethrow_exception(thrown);
}

// What the simulated library does meanwhile: see tests/simgpu/cublaslt/algorithms.hpp.
class Products {
 public:
  explicit Products(const char* how) { setenv("SWITCHYARD_SIMGPU_PRODUCTS", how, 1); }
  ~Products() { unsetenv("SWITCHYARD_SIMGPU_PRODUCTS"); }
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;
};

}  // namespace switchyard::ops
