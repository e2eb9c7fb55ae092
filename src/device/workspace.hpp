// Memory that lives for one step.
#pragma once

#include <cstddef>
#include <vector>

#include "base/span.hpp"
#include "device/buffer.hpp"

namespace switchyard::device {

// An arena. allocate() moves a pointer; reset() gives all of it back at once. The first steps may add blocks;
// the next reset() joins them into one, so a warm step allocates nothing. One owner thread: tasks of a
// parallel_for get memory that was allocated before the loop. Contents are undefined until written.
class Workspace {
 public:
  explicit Workspace(MemoryKind memory = MemoryKind::host) : memory_(memory) {}

  template <class T>
  Span<T> allocate(index_t count) {
    return {static_cast<T*>(allocate_aligned(bytes_of(count, sizeof(T)))), count};
  }
  // All spans handed out since the last reset() end here.
  void reset();

  // A place to go back to: release() ends all spans that were handed out since.
  struct Mark {
    std::size_t blocks, used, used_before;
  };
  Mark mark() const { return {blocks_.size(), used_, used_before_}; }
  void release(const Mark& mark);

  // Whether reset() gives blocks back.
  bool has_grown() const { return blocks_.size() > 1; }
  MemoryKind memory() const { return memory_; }
  std::size_t used_bytes() const { return used_before_ + used_; }
  std::size_t capacity_bytes() const;
  std::size_t peak_bytes() const { return peak_; }

 private:
  void* allocate_aligned(std::size_t bytes);

  MemoryKind memory_;
  std::vector<Buffer<std::byte>> blocks_;  // the last one is the one in use
  std::size_t used_ = 0;                   // in the last block
  std::size_t used_before_ = 0;            // in the blocks before it
  std::size_t peak_ = 0;
};

}  // namespace switchyard::device
