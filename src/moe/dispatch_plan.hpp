// Which rows go where, computed once per layer and step and used by dispatch, combine and both their mirrors.
#pragma once

#include <cstdint>
#include <vector>

#include "base/span.hpp"
#include "comm/resources.hpp"
#include "device/transfer.hpp"
#include "moe/placement.hpp"
#include "moe/routing.hpp"
#include "nn/row_blocks.hpp"
#include "ops/moe/plan.hpp"
#include "tensor/view.hpp"

namespace switchyard::moe {

// A sample travels to a rank at most once, however many of its experts live there. What comes back travels per
// slot.
//
//   samples [n]  --dispatch-->  message rows [source][position]  --table-->  expert rows [expert][row]
//   slots [n, i] <--combine---  message slots [source][position] <----------
//
// Messages hold samples in ascending order, and sources are ranks with contiguous runs of the global batch: so
// the rows of an expert are ordered by position in the global batch, on every layout. The block of a rank to
// itself is never packed: its experts read the rows where they lie. Of an expert with copies each gets a run of
// those rows (nn/row_blocks.hpp). Rows of all experts lie side by side, each expert's padded to a multiple.
//
// Kernels find every place (ops/moe/plan.hpp) and the arrays of places lie where the context computes; the host
// knows how many there are.
class DispatchPlan {
 public:
  // Of rank `self`, whose tables lie in `memory`.
  DispatchPlan(const Placement& placement, GroupRank self, device::MemoryKind memory);

  struct Rows {
    tensor::RowSource samples;          // where this rank's lie: one place, in order or by an index
    index_t multiple = 1;               // of an expert's rows: others behind them are padding
    Span<const index_t> of_ranks = {};  // samples of every rank; empty: not known here
  };
  // Collective over the ranks of the placement. Counts travel first, on the control plane: the host waits for
  // them, to find memory for what they count; with replicas, first those of every expert's rows on every rank.
  // Where every expert sees every sample and nothing is dropped they follow from the samples of the ranks, and
  // nobody waits. Then the data plane moves one ops::PlanEntry per slot.
  void build(comm::Resources resources, const Routing& routing, const Rows& rows,
             const nn::RowBlocks& blocks = {});

  struct Messages {                     // by rank; the own rank's counts are 0
    Vector<index_t> rows, first_row;    // of samples
    Vector<index_t> slots, first_slot;  // of what comes back
    index_t row_count = 0;
    index_t slot_count = 0;
  };
  const Messages& outbound() const { return outbound_; }  // what this rank sends out and gets back
  const Messages& inbound() const { return inbound_; }    // what its experts receive and send back
  // Message row -> where the sample's row lies.
  Span<const std::int32_t> sample() const { return sample_; }
  // [N, K]: a slot's message slot, or -1 - its row among those of the experts here. Behind the message slots
  // those of this rank that no expert takes have places of their own.
  Span<const std::int32_t> slot_index() const { return slot_index_; }
  index_t dropped() const { return dropped_; }
  // Row of an expert here -> where it comes from: a message row, of which the one behind the last is zeros, or
  // -1 - where the sample's row lies.
  Span<const std::int32_t> input_index() const { return input_index_; }
  // Message slot -> row of an expert here; behind them the rows that are padding.
  Span<const std::int32_t> expert_row() const { return expert_row_; }

  // Of each expert here: its rows; with the padding; and on all ranks that host it.
  Span<const index_t> expert_rows() const { return expert_rows_; }
  Span<const index_t> padded_rows() const { return padded_rows_; }
  Span<const index_t> all_expert_rows() const { return all_expert_rows_; }

  // Rows that crossed to another rank: for the metrics.
  index_t sent_rows() const { return outbound_.row_count; }

 private:
  index_t local_experts() const { return std::ssize(placement_.hosted_by(self_)); }
  void choose_copies(comm::Resources resources, const nn::RowBlocks& blocks);
  void count(comm::Resources resources);
  void know_counts(Span<const index_t> samples_of_ranks);
  // What follows from the counts.
  void lay_out_messages();
  void lay_out_rows(index_t multiple);
  // What the host knows and kernels need of a step.
  struct Offsets {
    device::Placed<std::int32_t> first, sources, padding;
  };
  Offsets write_offsets(device::Context& context);
  void write_first(Span<std::int32_t> first) const;
  void write_sources(Span<std::int32_t> sources) const;
  void write_padding(Span<std::int32_t> rows) const;
  void place_own(device::Context& context, const Rows& rows, const Offsets& offsets);
  void place_others(comm::Resources resources, const Offsets& offsets);

  // As long as the plan.
  Placement placement_;
  GroupRank self_;
  Vector<index_t> first_hosted_;     // by rank: the first of its experts among all that are hosted
  Vector<std::int32_t> per_sample_;  // by column, where every expert sees it
  device::Buffer<std::int32_t> hosted_table_, rank_table_, per_sample_table_;
  ops::PlanTables tables_;

  // Of a step; spans are its memory.
  ops::PlannedSlots slots_;
  ops::PlanBlocks blocks_;
  Span<std::int32_t> before_;  // by block and column; empty where it follows from per_sample_
  Messages outbound_, inbound_;
  index_t dropped_ = 0;
  Span<std::int32_t> sample_, slot_index_, input_index_, expert_row_;
  Span<ops::PlanEntry> entries_;
  Vector<index_t> expert_rows_, padded_rows_, all_expert_rows_, first_row_;  // by expert here
  Vector<index_t> totals_;                                                   // by column
  Vector<index_t> arrived_;                                                  // [ranks, experts here] slots
  Vector<index_t> counts_out_, counts_in_, rows_of_ranks_, rows_of_experts_;
  device::Upload upload_;
};

}  // namespace switchyard::moe
