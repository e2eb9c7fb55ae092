// Failures that a test asks for, and counts of all that is called. See control.hpp.
#pragma once

#include <string_view>

#include "simgpu/device.hpp"

namespace simgpu {

// What shall become of the kernel that is about to run.
enum class KernelFate { runs, loses_the_device, never_ends };
KernelFate next_kernel_fate();

// Whether anything has, in the life of the process.
bool has_failed_as_planned();

void add_to_count(std::string_view name, std::int64_t amount = 1);

// How often this function was called in the life of the process.
std::int64_t calls_of(std::string_view call);

// The counts as a JSON object, on one line: processes that share a file append theirs.
std::string counts_as_json();
// The same of the places that called each function: {"cudaMalloc": {"SITE": "its callers", ...}, ...}.
std::string sites_as_json();

}  // namespace simgpu
