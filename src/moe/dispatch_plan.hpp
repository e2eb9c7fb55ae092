// Which rows go where, computed once per layer and step and used by dispatch, combine and both their mirrors.
#pragma once

#include <cstdint>
#include <vector>

#include "base/span.hpp"
#include "comm/resources.hpp"
#include "device/workspace.hpp"
#include "moe/placement.hpp"
#include "moe/routing.hpp"
#include "nn/row_blocks.hpp"

namespace switchyard::moe {

// One row of one expert on this rank.
struct ExpertRow {
  std::int32_t expert;  // LocalExpert
  std::int32_t row;     // among the expert's rows
};

// A sample travels to a rank at most once, however many of its experts live there. What comes back travels per
// slot.
//
//   samples [n]  --dispatch-->  message rows [source][position]  --table-->  expert rows [expert][row]
//   slots [n, i] <--combine---  message slots [source][position] <----------
//
// Messages hold samples in ascending order, and sources are ranks with contiguous runs of the global batch: so
// the rows of an expert are ordered by position in the global batch, on every layout. The block of a rank to
// itself is never packed: its experts read the rows where they lie. Of an expert with copies each gets a run of
// those rows (nn/row_blocks.hpp).
class DispatchPlan {
 public:
  // Collective over the ranks of `placement`. Counts travel first, on the control plane: the host needs them,
  // to find memory for what they count; with replicas, first those of every expert's rows on every rank. Then
  // the data plane moves one (row, expert) pair per slot.
  void build(comm::Resources resources, const Placement& placement, const Routing& routing,
             const nn::RowBlocks& blocks = {});

  struct Outbound {                     // what this rank sends out and gets back
    Vector<index_t> rows, first_row;    // per destination; the own rank's count is 0 in messages
    Vector<index_t> slots, first_slot;  // per destination; the own rank's count is 0 in messages
    Span<std::int32_t> sample;          // message row -> sample
    Span<std::int32_t> slot;            // message slot -> n * K + i
    index_t row_count = 0;
    index_t slot_count = 0;
  };
  struct Inbound {                      // what this rank's experts receive and send back
    Vector<index_t> rows, first_row;    // per source
    Vector<index_t> slots, first_slot;  // per source
    Span<ExpertRow> place;              // message slot -> expert row
    index_t row_count = 0;
    index_t slot_count = 0;
  };

  const Outbound& outbound() const { return outbound_; }
  const Inbound& inbound() const { return inbound_; }
  // The slots of this rank's samples whose experts are here: no message.
  Span<const std::int32_t> local_slot() const { return local_slot_; }  // -> n * K + i
  Span<const ExpertRow> local_place() const { return local_place_; }
  // Those that no expert takes.
  Span<const std::int32_t> dropped_slot() const { return dropped_slot_; }  // -> n * K + i
  // Rows of each local expert here; and on all ranks that host it.
  Span<const index_t> expert_rows() const { return expert_rows_; }
  Span<const index_t> all_expert_rows() const { return all_expert_rows_; }
  // Expert row -> where it comes from: a message row, or -1 - sample for the own rank's. [local expert][row]
  Span<const std::int32_t> source_of(LocalExpert expert) const;

  index_t slots_per_sample() const { return slots_per_sample_; }
  // Rows that crossed to another rank: for the metrics.
  index_t sent_rows() const { return outbound_.row_count; }

 private:
  struct Entry {          // what travels per slot
    std::int32_t row;     // within the message
    std::int32_t expert;  // LocalExpert at the destination
  };
  void choose_destinations(comm::Resources resources, const Placement& placement, const Routing& routing,
                           const nn::RowBlocks& blocks);
  void count_rows(comm::Communicator& communicator, index_t experts, const Routing& routing);
  void pack_outbound(device::Workspace& workspace, const Placement& placement, const Routing& routing);
  void exchange_entries(comm::Resources resources);
  void place_rows(device::Workspace& workspace, index_t local_experts);

  Outbound outbound_;
  Inbound inbound_;
  int self_ = 0;
  index_t slots_per_sample_ = 0;
  Span<std::int32_t> destination_;  // rank, by slot
  Span<Entry> outbound_entries_;
  Span<Entry> inbound_entries_;
  Span<Entry> local_entries_;  // row is the sample
  Span<std::int32_t> local_slot_, dropped_slot_;
  Span<ExpertRow> local_place_;
  Vector<index_t> expert_rows_;
  Vector<index_t> all_expert_rows_;
  Vector<index_t> expert_first_;
  Span<std::int32_t> source_;
  Vector<std::int32_t> last_sample_;  // per destination
  Vector<index_t> counts_out_, counts_in_;
  Vector<index_t> rows_of_ranks_;  // with replicas: of each expert, [ranks, experts]
  struct Cursor {                  // of an expert's rows, while this rank's samples are walked
    index_t row = 0;               // place of the next one among those of all ranks
    index_t all = 0;               // which are so many
    int copy = 0;                  // that takes it
    index_t end_of_copy = 0;       // of that one's rows
  };
  Vector<Cursor> cursors_;  // by expert
};

}  // namespace switchyard::moe
