// What a kernel's arguments point to.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "simgpu/memory.hpp"

namespace simgpu {

// Moves each aligned word of one argument that lies in device memory to the readable window, and appends the
// allocation that it points into. A mistake of `kernel`, with the number of the word among all its arguments,
// if a word points into memory of the host, or into freed memory or that of another device.
void translate_argument(std::span<std::byte> argument, std::size_t first_word, std::string_view kernel,
                        int device, std::vector<const Allocation*>& used);

}  // namespace simgpu
