// The samples of a split as floats that stay in memory.
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "base/unique_handle.hpp"
#include "data/dataset.hpp"
#include "device/buffer.hpp"

namespace switchyard::train {

// A sample is made the first time that it is asked for, the very floats that Dataset::fill gives, so a rank
// makes those that it works on and a short run is not kept waiting. Local; the data set must outlive it.
class HeldSamples {
 public:
  HeldSamples() = default;  // of no split
  // Room for the whole split, which the system gives as it is written to. Throws OutOfMemory.
  HeldSamples(const data::Dataset& dataset, data::Split split);

  explicit operator bool() const { return static_cast<bool>(rows_); }
  static index_t bytes_of(const data::Dataset& dataset, data::Split split);
  index_t bytes() const { return rows_ ? bytes_of(*dataset_, split_) : 0; }

  // Makes those that are not there yet. Several threads may do so at once, of samples that differ.
  void make(Span<const index_t> samples);
  // [size of the split, features]: of samples that were made; and their labels.
  const float* rows() const { return rows_.get(); }
  std::int32_t label(index_t sample) const { return labels_[sample]; }

 private:
  struct Memory {
    using Handle = float*;
    static Handle none() noexcept { return nullptr; }
    static void close(Handle rows) noexcept { device::free_bytes(device::MemoryKind::host, rows); }
  };

  const data::Dataset* dataset_ = nullptr;
  data::Split split_ = data::Split::train;
  UniqueHandle<Memory> rows_;
  Vector<std::int32_t> labels_;
  Vector<std::uint8_t> made_;  // by sample: whether
};

}  // namespace switchyard::train
