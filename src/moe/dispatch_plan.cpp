#include "moe/dispatch_plan.hpp"

#include <algorithm>

#include "base/contract.hpp"

namespace switchyard::moe {
namespace {

std::size_t at(index_t i) { return static_cast<std::size_t>(i); }

// first[r] = counts[0] + ... + counts[r - 1]; returns the total.
index_t exclusive_scan(const std::vector<index_t>& counts, std::vector<index_t>& first) {
  index_t total = 0;
  for (std::size_t r = 0; r < counts.size(); ++r) {
    first[r] = total;
    total += counts[r];
  }
  return total;
}

}  // namespace

void DispatchPlan::build(device::Workspace& workspace, comm::Communicator& communicator,
                         const Placement& placement, const Routing& routing) {
  const auto ranks = static_cast<std::size_t>(communicator.size());
  SY_EXPECTS(placement.rank_count() == communicator.size(), "a placement over {} ranks is used on {}",
             placement.rank_count(), communicator.size());
  self_ = communicator.rank().value;
  slots_per_sample_ = routing.slots;
  for (auto* counts : {&outbound_.rows, &outbound_.first_row, &outbound_.slots, &outbound_.first_slot,
                       &inbound_.rows, &inbound_.first_row, &inbound_.slots, &inbound_.first_slot}) {
    counts->assign(ranks, 0);
  }
  pack_outbound(workspace, placement, routing);
  exchange_entries(workspace, communicator);
  place_rows(workspace, static_cast<index_t>(placement.hosted_by(communicator.rank()).size()));
}

// Two passes over the slots: count, then write at the scanned offsets.
void DispatchPlan::pack_outbound(device::Workspace& workspace, const Placement& placement,
                                 const Routing& routing) {
  const index_t slots = routing.slots;
  const auto destination = [&](index_t s) { return placement.owner(ExpertId(routing.experts[at(s)])).index(); };

  index_t local_count = 0;
  last_sample_.assign(outbound_.rows.size(), -1);
  for (index_t n = 0; n < routing.samples; ++n) {
    for (index_t s = n * slots; s < (n + 1) * slots; ++s) {
      const index_t d = destination(s);
      if (d == self_) {
        ++local_count;
        continue;
      }
      ++outbound_.slots[at(d)];
      if (last_sample_[at(d)] != n) {
        last_sample_[at(d)] = static_cast<std::int32_t>(n);
        ++outbound_.rows[at(d)];
      }
    }
  }
  outbound_.row_count = exclusive_scan(outbound_.rows, outbound_.first_row);
  outbound_.slot_count = exclusive_scan(outbound_.slots, outbound_.first_slot);
  outbound_.sample = workspace.allocate<std::int32_t>(outbound_.row_count);
  outbound_.slot = workspace.allocate<std::int32_t>(outbound_.slot_count);
  outbound_entries_ = workspace.allocate<Entry>(outbound_.slot_count);
  local_slot_ = workspace.allocate<std::int32_t>(local_count);
  local_entries_ = workspace.allocate<Entry>(local_count);
  local_place_ = workspace.allocate<ExpertRow>(local_count);

  // The counts become cursors and end as counts again.
  std::ranges::fill(outbound_.rows, 0);
  std::ranges::fill(outbound_.slots, 0);
  std::ranges::fill(last_sample_, -1);
  index_t own = 0;
  for (index_t n = 0; n < routing.samples; ++n) {
    for (index_t s = n * slots; s < (n + 1) * slots; ++s) {
      const index_t d = destination(s);
      const std::int32_t local = placement.local(ExpertId(routing.experts[at(s)])).value;
      if (d == self_) {
        local_slot_[at(own)] = static_cast<std::int32_t>(s);
        local_entries_[at(own)] = {static_cast<std::int32_t>(n), local};
        ++own;
        continue;
      }
      if (last_sample_[at(d)] != n) {
        last_sample_[at(d)] = static_cast<std::int32_t>(n);
        outbound_.sample[at(outbound_.first_row[at(d)] + outbound_.rows[at(d)]++)] =
            static_cast<std::int32_t>(n);
      }
      const index_t position = outbound_.first_slot[at(d)] + outbound_.slots[at(d)]++;
      outbound_.slot[at(position)] = static_cast<std::int32_t>(s);
      outbound_entries_[at(position)] = {static_cast<std::int32_t>(outbound_.rows[at(d)] - 1), local};
    }
  }
}

void DispatchPlan::exchange_entries(device::Workspace& workspace, comm::Communicator& communicator) {
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
  communicator.all_to_all_rows<Entry>(outbound_entries_.data(), {outbound_.slots, outbound_.first_slot},
                                      inbound_entries_.data(), {inbound_.slots, inbound_.first_slot}, 1);
}

// Walks the entries of all sources in rank order (the own rank's in its turn), so that an expert's rows come
// out in the order of the global batch.
void DispatchPlan::place_rows(device::Workspace& workspace, index_t local_experts) {
  expert_rows_.assign(at(local_experts), 0);
  expert_first_.resize(at(local_experts));
  const auto place = [&](const Entry& entry) {
    return ExpertRow{entry.expert, static_cast<std::int32_t>(expert_rows_[at(entry.expert)]++)};
  };
  for (index_t source = 0; source < static_cast<index_t>(inbound_.slots.size()); ++source) {
    if (source == self_) {
      for (std::size_t i = 0; i < local_entries_.size(); ++i) local_place_[i] = place(local_entries_[i]);
      continue;
    }
    const index_t first = inbound_.first_slot[at(source)];
    for (index_t i = first; i < first + inbound_.slots[at(source)]; ++i)
      inbound_.place[at(i)] = place(inbound_entries_[at(i)]);
  }

  const index_t total = exclusive_scan(expert_rows_, expert_first_);
  source_ = workspace.allocate<std::int32_t>(total);
  const auto source_at = [&](ExpertRow p) -> std::int32_t& {
    return source_[at(expert_first_[at(p.expert)] + p.row)];
  };
  for (std::size_t i = 0; i < local_entries_.size(); ++i)
    source_at(local_place_[i]) = -1 - local_entries_[i].row;
  for (index_t source = 0; source < static_cast<index_t>(inbound_.slots.size()); ++source) {
    const index_t first = inbound_.first_slot[at(source)];
    const index_t first_row = inbound_.first_row[at(source)];
    for (index_t i = first; i < first + inbound_.slots[at(source)]; ++i) {
      source_at(inbound_.place[at(i)]) = static_cast<std::int32_t>(first_row + inbound_entries_[at(i)].row);
    }
  }
}

std::span<const std::int32_t> DispatchPlan::source_of(LocalExpert expert) const {
  return std::span<const std::int32_t>(source_).subspan(at(expert_first_[at(expert.index())]),
                                                        at(expert_rows_[at(expert.index())]));
}

}  // namespace switchyard::moe
