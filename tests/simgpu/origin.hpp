// Which call of the program made something.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace simgpu {

struct Origin {
  std::string call;         // "cudaMalloc"
  std::int64_t number = 0;  // its call, from 1
  std::array<void*, 12> frames{};
  int frame_count = 0;
};

// The call of the runtime that is being made, with the stack of its caller.
Origin origin_of(std::string call);

// "cudaMalloc, its call 3"
std::string describe(const Origin& origin);

// To the standard error, as "made by:" and a line per frame.
void print_stack(const Origin& origin);
void print_own_stack();

}  // namespace simgpu
