// A GPU as an executor of the ops' conformance tests, which give it arrays of the host (shared_memory.cpp).
#include "conformance/ops/more_executors.hpp"

namespace switchyard::ops {

void on_more_executors(const std::function<void(const char* name, device::Context& context)>& compare) {
  device::Context context = device::Context::cuda(0);
  compare("the GPU", context);
}

}  // namespace switchyard::ops
