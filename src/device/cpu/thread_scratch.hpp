// Scratch of the calling thread, kept for the life of the thread.
#pragma once

#include <cstddef>

#include "base/ids.hpp"

namespace switchyard::device::cpu {

// At least `bytes` bytes, 64-byte aligned, contents undefined. Grows, never shrinks: a warm step allocates
// nothing.
std::byte* thread_scratch(index_t bytes);

}  // namespace switchyard::device::cpu
