// The threads of a block, as fibers of the thread of the host that runs the kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

namespace simgpu {

inline constexpr int most_block_threads = 1024;

// Runs the threads of one block until all have ended, in an order drawn from the seed. A mistake of `kernel` if
// some wait for others that will never come. threadIdx and blockDim are set here, blockIdx by the
// caller.
void run_block(std::string_view kernel, int threads, std::uint64_t seed, void (*run_thread)(const void*),
               const void* argument);

// Whether an address lies between the stacks of the fibers, where one that overflows gets to.
bool is_below_a_fiber(std::uintptr_t address);

}  // namespace simgpu
