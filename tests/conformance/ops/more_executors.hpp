// Executors that a machine has or not: none but the CPU's by default (no_more_executors.cpp), the simulated
// device in tests/simgpu.
#pragma once

#include <functional>

#include "device/context.hpp"

namespace switchyard::ops {

// compare(name, context) for each of them. An op finds arrays of the host in its arguments, on each.
void on_more_executors(const std::function<void(const char* name, device::Context& context)>& compare);

}  // namespace switchyard::ops
