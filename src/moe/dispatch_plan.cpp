#include "moe/dispatch_plan.hpp"

#include <algorithm>

#include "base/contract.hpp"
#include "base/span.hpp"

namespace switchyard::moe {
namespace {

constexpr std::int32_t nobody = -1;  // has a place for a slot

// first[r] = counts[0] + ... + counts[r - 1]; returns the total.
index_t exclusive_scan(const Vector<index_t>& counts, Vector<index_t>& first) {
  index_t total = 0;
  for (std::size_t r = 0; r < counts.size(); ++r) {
    first[r] = total;
    total += counts[r];
  }
  return total;
}

}  // namespace

void DispatchPlan::build(comm::Resources resources, const Placement& placement, const Routing& routing,
                         const nn::RowBlocks& blocks) {
  const comm::Communicator& communicator = resources.communicator;
  device::Workspace& workspace = resources.context.workspace();
  const int ranks = communicator.size();
  SY_EXPECTS(placement.rank_count() == ranks, "a placement over {} ranks is used on {}", placement.rank_count(),
             ranks);
  SY_EXPECTS(placement.replicas() == blocks.copies, "a placement of {} replicas, blocks for {}",
             placement.replicas(), blocks.copies);
  self_ = communicator.rank().value;
  slots_per_sample_ = routing.slots;
  for (auto* counts : {&outbound_.rows, &outbound_.first_row, &outbound_.slots, &outbound_.first_slot,
                       &inbound_.rows, &inbound_.first_row, &inbound_.slots, &inbound_.first_slot}) {
    counts->assign(ranks, 0);
  }
  choose_destinations(resources, placement, routing, blocks);
  pack_outbound(workspace, placement, routing);
  exchange_entries(resources);
  place_rows(workspace, std::ssize(placement.hosted_by(communicator.rank())));
  all_expert_rows_.assign(expert_rows_.begin(), expert_rows_.end());
  if (placement.replicas() == 1) return;
  for (std::size_t e = 0; e < all_expert_rows_.size(); ++e)
    all_expert_rows_[e] = cursors_[placement.hosted_by(communicator.rank())[e]].all;
}

// Each rank fills its row of the table.
void DispatchPlan::count_rows(comm::Communicator& communicator, index_t experts, const Routing& routing) {
  rows_of_ranks_.assign(communicator.size() * experts, 0);
  for (index_t s = 0; s < std::ssize(routing.experts); ++s) {
    if (!routing.is_dropped(s)) ++rows_of_ranks_[self_ * experts + routing.experts[s]];
  }
  communicator.all_reduce_sum(Span<std::int64_t>(rows_of_ranks_));
}

// Of an expert's copies, the one whose rows that of the slot is among: a rank's rows follow those of the ranks
// before it.
void DispatchPlan::choose_destinations(comm::Resources resources, const Placement& placement,
                                       const Routing& routing, const nn::RowBlocks& blocks) {
  destination_ = resources.context.workspace().allocate<std::int32_t>(routing.samples * routing.slots);
  if (placement.replicas() == 1) {
    for (index_t s = 0; s < std::ssize(destination_); ++s)
      destination_[s] = routing.is_dropped(s) ? nobody : placement.owner(ExpertId(routing.experts[s])).value;
    return;
  }
  const index_t experts = placement.expert_count();
  count_rows(resources.communicator, experts, routing);
  cursors_.assign(experts, {});
  for (index_t e = 0; e < experts; ++e) {
    Cursor& cursor = cursors_[e];
    for (index_t rank = 0; rank < resources.communicator.size(); ++rank) {
      const index_t rows = rows_of_ranks_[rank * experts + e];
      if (rank < self_) cursor.row += rows;
      cursor.all += rows;
    }
    cursor.end_of_copy = blocks.rows_of_copy(cursor.all, 0).end;
  }
  for (index_t s = 0; s < std::ssize(destination_); ++s) {
    destination_[s] = nobody;
    if (routing.is_dropped(s)) continue;
    const ExpertId expert(routing.experts[s]);
    Cursor& cursor = cursors_[expert];
    while (cursor.row >= cursor.end_of_copy)
      cursor.end_of_copy = blocks.rows_of_copy(cursor.all, ++cursor.copy).end;
    destination_[s] = placement.owner(expert, cursor.copy).value;
    ++cursor.row;
  }
}

// Two passes over the slots: count, then write at the scanned offsets.
void DispatchPlan::pack_outbound(device::Workspace& workspace, const Placement& placement,
                                 const Routing& routing) {
  const index_t slots = routing.slots;
  index_t local_count = 0;
  index_t dropped_count = 0;
  last_sample_.assign(outbound_.rows.size(), -1);
  for (index_t n = 0; n < routing.samples; ++n) {
    for (index_t s = n * slots; s < (n + 1) * slots; ++s) {
      const index_t d = destination_[s];
      if (d == nobody) {
        ++dropped_count;
        continue;
      }
      if (d == self_) {
        ++local_count;
        continue;
      }
      ++outbound_.slots[d];
      if (last_sample_[d] != n) {
        last_sample_[d] = static_cast<std::int32_t>(n);
        ++outbound_.rows[d];
      }
    }
  }
  outbound_.row_count = exclusive_scan(outbound_.rows, outbound_.first_row);
  outbound_.slot_count = exclusive_scan(outbound_.slots, outbound_.first_slot);
  outbound_.sample = workspace.allocate<std::int32_t>(outbound_.row_count);
  outbound_.slot = workspace.allocate<std::int32_t>(outbound_.slot_count);
  outbound_entries_ = workspace.allocate<Entry>(outbound_.slot_count);
  local_slot_ = workspace.allocate<std::int32_t>(local_count);
  dropped_slot_ = workspace.allocate<std::int32_t>(dropped_count);
  local_entries_ = workspace.allocate<Entry>(local_count);
  local_place_ = workspace.allocate<ExpertRow>(local_count);

  // The counts become cursors and end as counts again.
  std::ranges::fill(outbound_.rows, 0);
  std::ranges::fill(outbound_.slots, 0);
  std::ranges::fill(last_sample_, -1);
  index_t own = 0;
  index_t dropped = 0;
  for (index_t n = 0; n < routing.samples; ++n) {
    for (index_t s = n * slots; s < (n + 1) * slots; ++s) {
      const index_t d = destination_[s];
      if (d == nobody) {
        dropped_slot_[dropped++] = static_cast<std::int32_t>(s);
        continue;
      }
      const std::int32_t local = placement.local(ExpertId(routing.experts[s])).value;
      if (d == self_) {
        local_slot_[own] = static_cast<std::int32_t>(s);
        local_entries_[own] = {static_cast<std::int32_t>(n), local};
        ++own;
        continue;
      }
      if (last_sample_[d] != n) {
        last_sample_[d] = static_cast<std::int32_t>(n);
        outbound_.sample[outbound_.first_row[d] + outbound_.rows[d]++] = static_cast<std::int32_t>(n);
      }
      const index_t position = outbound_.first_slot[d] + outbound_.slots[d]++;
      outbound_.slot[position] = static_cast<std::int32_t>(s);
      outbound_entries_[position] = {static_cast<std::int32_t>(outbound_.rows[d] - 1), local};
    }
  }
}

void DispatchPlan::exchange_entries(comm::Resources resources) {
  auto& [communicator, data_plane, context, replicas] = resources;
  device::Workspace& workspace = context.workspace();
  const std::size_t ranks = outbound_.rows.size();
  counts_out_.resize(2 * ranks);
  counts_in_.resize(2 * ranks);
  for (std::size_t r = 0; r < ranks; ++r) {
    counts_out_[2 * r] = outbound_.rows[r];
    counts_out_[2 * r + 1] = outbound_.slots[r];
  }
  communicator.all_to_all<index_t>(counts_out_, counts_in_, 2);
  for (std::size_t r = 0; r < ranks; ++r) {
    inbound_.rows[r] = counts_in_[2 * r];
    inbound_.slots[r] = counts_in_[2 * r + 1];
  }
  inbound_.row_count = exclusive_scan(inbound_.rows, inbound_.first_row);
  inbound_.slot_count = exclusive_scan(inbound_.slots, inbound_.first_slot);
  inbound_entries_ = workspace.allocate<Entry>(inbound_.slot_count);
  inbound_.place = workspace.allocate<ExpertRow>(inbound_.slot_count);
  data_plane.all_to_all_rows<Entry>(context, outbound_entries_.data(), {outbound_.slots, outbound_.first_slot},
                                    inbound_entries_.data(), {inbound_.slots, inbound_.first_slot}, 1);
}

// Walks the entries of all sources in rank order (the own rank's in its turn), so that an expert's rows come
// out in the order of the global batch.
void DispatchPlan::place_rows(device::Workspace& workspace, index_t local_experts) {
  expert_rows_.assign(local_experts, 0);
  expert_first_.resize(local_experts);
  const auto place = [&](const Entry& entry) {
    return ExpertRow{entry.expert, static_cast<std::int32_t>(expert_rows_[entry.expert]++)};
  };
  for (index_t source = 0; source < std::ssize(inbound_.slots); ++source) {
    if (source == self_) {
      for (std::size_t i = 0; i < local_entries_.size(); ++i) local_place_[i] = place(local_entries_[i]);
      continue;
    }
    const index_t first = inbound_.first_slot[source];
    for (index_t i = first; i < first + inbound_.slots[source]; ++i)
      inbound_.place[i] = place(inbound_entries_[i]);
  }

  const index_t total = exclusive_scan(expert_rows_, expert_first_);
  source_ = workspace.allocate<std::int32_t>(total);
  const auto source_at = [&](ExpertRow p) -> std::int32_t& { return source_[expert_first_[p.expert] + p.row]; };
  for (std::size_t i = 0; i < local_entries_.size(); ++i)
    source_at(local_place_[i]) = -1 - local_entries_[i].row;
  for (index_t source = 0; source < std::ssize(inbound_.slots); ++source) {
    const index_t first = inbound_.first_slot[source];
    const index_t first_row = inbound_.first_row[source];
    for (index_t i = first; i < first + inbound_.slots[source]; ++i) {
      source_at(inbound_.place[i]) = static_cast<std::int32_t>(first_row + inbound_entries_[i].row);
    }
  }
}

Span<const std::int32_t> DispatchPlan::source_of(LocalExpert expert) const {
  return source_.subspan(expert_first_[expert], expert_rows_[expert]);
}

}  // namespace switchyard::moe
