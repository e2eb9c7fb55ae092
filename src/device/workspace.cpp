#include "device/workspace.hpp"

#include <algorithm>

namespace switchyard::device {
namespace {
constexpr std::size_t smallest_block_bytes = std::size_t{1} << 20;
constexpr std::size_t round_up(std::size_t bytes) {
  return (bytes + alignment_bytes - 1) / alignment_bytes * alignment_bytes;
}
}  // namespace

void* Workspace::allocate_aligned(std::size_t bytes) {
  bytes = round_up(bytes);
  if (blocks_.empty() || used_ + bytes > as_size(blocks_.back().count())) {
    // First, since it may throw: all that was handed out then stays as it is.
    blocks_.emplace_back(static_cast<index_t>(std::max({bytes, smallest_block_bytes, capacity_bytes()})),
                         memory_);
    used_before_ += used_;
    used_ = 0;
  }
  void* const place = blocks_.back().data() + used_;
  used_ += bytes;
  peak_ = std::max(peak_, used_before_ + used_);
  return place;
}

void Workspace::reset() {
  used_ = 0;
  used_before_ = 0;
  if (blocks_.size() > 1) {
    blocks_.clear();
    blocks_.emplace_back(static_cast<index_t>(round_up(peak_ + peak_ / 8)), memory_);
  }
}

// Blocks that were added since stay until reset(); the last one is in use, from its beginning.
void Workspace::release(const Mark& mark) {
  const bool same_block = blocks_.size() == mark.blocks;
  used_ = same_block ? mark.used : 0;
  used_before_ = mark.used_before + (same_block ? 0 : mark.used);
}

std::size_t Workspace::capacity_bytes() const {
  std::size_t total = 0;
  for (const auto& block : blocks_) total += as_size(block.count());
  return total;
}

}  // namespace switchyard::device
