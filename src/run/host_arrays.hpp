// Arrays of a model and its optimiser as the host reads and writes them.
#pragma once

#include <vector>

#include "device/context.hpp"

namespace switchyard::run {

// On a CPU the very arrays. On a GPU copies: they come down before the host reads them and go up once it has
// written; for checkpoints, which are rare, so all of them at once, and the host waits.
class HostArrays {
 public:
  explicit HostArrays(device::Context& context) : context_(&context) {}

  // Where the host has `count` numbers of the context's memory. Of a copy zeros, until fetch().
  float* place(float* array, index_t count);
  // Copies become what the arrays are once all that was enqueued is done; and the other way round.
  void fetch();
  void send();

 private:
  struct Copy {
    float* array;
    device::Buffer<float> host;
  };
  device::Context* context_;
  std::vector<Copy> copies_;
};

}  // namespace switchyard::run
