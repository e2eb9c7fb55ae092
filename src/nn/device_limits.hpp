// What a GPU can run.
#pragma once

#include <fmt/format.h>

#include <string_view>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "device/memory.hpp"

namespace switchyard::nn {

// Of a block: 227 KiB of sm_90, less what a team keeps of it.
inline constexpr index_t most_scratch_bytes = 226 << 10;

// ConfigError if a layer in a GPU's memory needs more of it.
inline void expect_scratch(device::MemoryKind memory, std::string_view layer, index_t bytes) {
  if (memory != device::MemoryKind::device || bytes <= most_scratch_bytes) return;
  throw ConfigError(fmt::format(
      "the {} needs {} KiB of a block's memory on a GPU for samples of this size, which has {}; take "
      "a smaller layer, or run.device = cpu",
      layer, bytes >> 10, most_scratch_bytes >> 10));
}

}  // namespace switchyard::nn
