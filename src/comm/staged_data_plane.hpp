// The data plane of ranks that compute on GPUs, over a communicator that knows the host's memory only.
#pragma once

#include <cstddef>
#include <vector>

#include "comm/communicator.hpp"
#include "comm/data_plane.hpp"
#include "device/buffer.hpp"

namespace switchyard::comm {

// What leaves this rank is copied to pinned memory, sent by the communicator, and what arrives is copied to the
// device, in the queue of messages: each call waits once for that queue, and the communicator checks it, tags
// it and shows it to the watchdog. A rank's rows for itself are copied on the device. A group of one waits for
// nothing.
//
// It is the reference of the planes that only enqueue. On a context of a CPU it works, too: for tests.
class StagedDataPlane final : public DataPlane {
 public:
  // Over the ranks of `communicator`, which must outlive it, for `context` alone. Local.
  StagedDataPlane(Communicator& communicator, const device::Context& context);

  GroupRank rank() const override { return communicator_.rank(); }
  int size() const override { return communicator_.size(); }

 private:
  // Rows of the other ranks in the host's memory, one block after the other in the order of ranks.
  class Stage {
   public:
    explicit Stage(device::MemoryKind memory) : memory_(memory) {}

    // Places for the blocks of `layout` but that of `self`.
    void arrange(RowLayout layout, GroupRank self);
    // At least so many bytes, which lose what they hold: nothing may still be copied from or to them.
    std::byte* reserve(index_t bytes);

    RowLayout layout() const { return {rows_, first_row_}; }
    index_t row_count() const { return row_count_; }

   private:
    device::MemoryKind memory_;
    std::vector<index_t> rows_, first_row_;
    index_t row_count_ = 0;
    device::Buffer<std::byte> bytes_;
  };

  void do_all_to_all_rows(device::Context& context, const std::byte* send, RowLayout send_layout,
                          std::byte* recv, RowLayout recv_layout, index_t row_bytes,
                          const device::Event* ready) override;
  void do_all_gather_rows(device::Context& context, Span<const std::byte> mine, Span<std::byte> all,
                          Span<const index_t> rows, index_t row_bytes) override;
  void do_all_reduce_sum(device::Context& context, Span<std::int64_t> values) override;

  // Waits until what `copy` brings to the host is there: behind `ready`, or behind all of the context's
  // computing if that is null.
  void leave(device::Context& context, const device::Event* ready, const auto& copy);
  // What is computed from here on has what `copy` brings to the device.
  void arrive(device::Context& context, const auto& copy);

  Communicator& communicator_;
  device::Event ready_, left_, arrived_;
  Stage leaving_;
  Stage arriving_;  // the device may still copy from it, until what leaves next has left
};

}  // namespace switchyard::comm
