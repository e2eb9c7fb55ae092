#include "moe/dispatch_plan.hpp"

#include <algorithm>
#include <numeric>

#include "base/contract.hpp"
#include "base/partition.hpp"

namespace switchyard::moe {
namespace {

// first[r] = counts[0] + ... + counts[r - 1]; returns the total.
index_t exclusive_scan(const Vector<index_t>& counts, Vector<index_t>& first) {
  index_t total = 0;
  for (std::size_t r = 0; r < counts.size(); ++r) {
    first[r] = total;
    total += counts[r];
  }
  return total;
}

std::int32_t narrow(index_t value) { return static_cast<std::int32_t>(value); }

template <class T>
const T* data_or_null(Span<T> values) {
  return values.empty() ? nullptr : values.data();
}

void clear(DispatchPlan::Messages& messages, index_t ranks) {
  for (auto* counts : {&messages.rows, &messages.first_row, &messages.slots, &messages.first_slot})
    counts->assign(ranks, 0);
}

}  // namespace

DispatchPlan::DispatchPlan(const Placement& placement, GroupRank self, device::MemoryKind memory)
    : placement_(placement), self_(self) {
  const int ranks = placement.rank_count();
  Vector<std::int32_t> rank_of_hosted, hosted_of_copies;
  for (int rank = 0; rank < ranks; ++rank) {
    first_hosted_.push_back(std::ssize(rank_of_hosted));
    rank_of_hosted.insert(rank_of_hosted.end(), placement.hosted_by(GroupRank(rank)).size(), rank);
  }
  for (int copy = 0; copy < placement.replicas(); ++copy) {
    for (index_t e = 0; e < placement.expert_count(); ++e) {
      const ExpertId expert(e);
      hosted_of_copies.push_back(
          narrow(first_hosted_[placement.owner(expert, copy)] + placement.local(expert).index()));
    }
  }
  tables_.columns = {ranks, std::ssize(rank_of_hosted)};
  tables_.self = self.index();
  const ops::PlanColumns& columns = tables_.columns;
  per_sample_.assign(columns.width(), 0);
  for (int rank = 0; rank < ranks; ++rank) {
    const index_t hosted = std::ssize(placement.hosted_by(GroupRank(rank)));
    if (rank == self.value || hosted == 0) continue;
    per_sample_[columns.samples_to(rank)] = 1;
    per_sample_[columns.slots_to(rank)] = narrow(hosted);
  }
  for (index_t e = 0; e < columns.hosted; ++e) per_sample_[columns.slots_of(e)] = 1;
  hosted_table_ = device::make_table<std::int32_t>(memory, hosted_of_copies);
  rank_table_ = device::make_table<std::int32_t>(memory, rank_of_hosted);
  per_sample_table_ = device::make_table<std::int32_t>(memory, per_sample_);
  tables_.hosted_of_expert = hosted_table_.data();
  tables_.rank_of_hosted = rank_table_.data();
}

void DispatchPlan::build(comm::Resources resources, const Routing& routing, const Rows& rows,
                         const nn::RowBlocks& blocks) {
  const int ranks = resources.communicator.size();
  SY_EXPECTS(placement_.rank_count() == ranks && self_ == resources.communicator.rank(),
             "a plan of rank {} of {} is used on rank {} of {}", self_.value, placement_.rank_count(),
             resources.communicator.rank().value, ranks);
  SY_EXPECTS(placement_.replicas() == blocks.copies, "a placement of {} replicas, blocks for {}",
             placement_.replicas(), blocks.copies);
  SY_EXPECTS(rows.samples.base[1] == nullptr && rows.samples.rows == routing.samples,
             "{} samples in two places, or not the {} that are routed", rows.samples.rows, routing.samples);
  slots_ = {routing.samples, routing.slots, routing.experts.data(), data_or_null(routing.dropped), nullptr};
  blocks_ = ops::PlanBlocks::of(resources.context, routing.samples, routing.slots);
  clear(outbound_, ranks);
  clear(inbound_, ranks);
  if (placement_.replicas() > 1) choose_copies(resources, blocks);
  const bool is_known = routing.is_dense && routing.dropped.empty() && placement_.replicas() == 1;
  if (is_known && !rows.of_ranks.empty()) {
    know_counts(rows.of_ranks);
  } else {
    count(resources);
  }
  lay_out_messages();
  lay_out_rows(rows.multiple);
  const Offsets offsets = write_offsets(resources.context);
  place_own(resources.context, rows, offsets);
  place_others(resources, offsets);
}

// Of an expert's copies, each slot goes to the one whose rows its own is among: a rank's rows follow those of
// the ranks before it.
void DispatchPlan::choose_copies(comm::Resources resources, const nn::RowBlocks& blocks) {
  device::Context& context = resources.context;
  device::Workspace& workspace = context.workspace();
  const index_t experts = placement_.expert_count();
  const index_t copies = placement_.replicas();
  const ops::PlanTables by_expert{.columns = {0, experts}};
  const index_t width = by_expert.columns.width();
  const Span<std::int32_t> before = workspace.allocate<std::int32_t>(blocks_.count * width);
  const Span<std::int32_t> totals = workspace.allocate<std::int32_t>(width);
  ops::count_slots(context, by_expert, slots_, blocks_, before, totals);
  const Span<const std::int32_t> counted = device::fetch(context, totals);
  context.wait();
  // Each rank fills its row of the table.
  rows_of_ranks_.assign(resources.communicator.size() * experts, 0);
  std::ranges::copy(counted.first(experts), rows_of_ranks_.begin() + self_.index() * experts);
  resources.communicator.all_reduce_sum(Span<std::int64_t>(rows_of_ranks_));

  upload_.begin(context);
  const auto first_row = upload_.allocate<std::int32_t>(experts);
  const auto end = upload_.allocate<std::int32_t>(experts * copies);
  rows_of_experts_.assign(experts, 0);
  for (index_t e = 0; e < experts; ++e) {
    index_t& all = rows_of_experts_[e];
    for (index_t rank = 0; rank < resources.communicator.size(); ++rank) {
      if (rank == self_.index()) first_row.host[e] = narrow(all);
      all += rows_of_ranks_[rank * experts + e];
    }
    for (index_t copy = 0; copy < copies; ++copy)
      end.host[e * copies + copy] = narrow(blocks.rows_of_copy(all, copy).end);
  }
  upload_.send();
  const Span<std::int32_t> hosted = workspace.allocate<std::int32_t>(slots_.samples * slots_.slots);
  ops::choose_copies(context,
                     {experts, copies, first_row.device.data(), end.device.data(), hosted_table_.data()},
                     slots_, blocks_, before, hosted);
  slots_.hosted = hosted.data();
}

// Of this rank, and then of the others: to each rank go the samples and slots that it will get, and how many of
// the slots are of each of its experts.
void DispatchPlan::count(comm::Resources resources) {
  device::Context& context = resources.context;
  device::Workspace& workspace = context.workspace();
  const ops::PlanColumns& columns = tables_.columns;
  before_ = workspace.allocate<std::int32_t>(blocks_.count * columns.width());
  const Span<std::int32_t> totals = workspace.allocate<std::int32_t>(columns.width());
  ops::count_slots(context, tables_, slots_, blocks_, before_, totals);
  const Span<const std::int32_t> counted = device::fetch(context, totals);
  context.wait();
  totals_.assign(counted.begin(), counted.end());

  index_t most_hosted = 0;
  for (int rank = 0; rank < columns.ranks; ++rank)
    most_hosted = std::max(most_hosted, std::ssize(placement_.hosted_by(GroupRank(rank))));
  const index_t width = 2 + most_hosted;
  counts_out_.assign(columns.ranks * width, 0);
  counts_in_.resize(columns.ranks * width);
  for (int rank = 0; rank < columns.ranks; ++rank) {
    const Span<index_t> out = Span<index_t>(counts_out_).subspan(rank * width, width);
    out[0] = totals_[columns.samples_to(rank)];
    out[1] = totals_[columns.slots_to(rank)];
    for (index_t e = 0; e < std::ssize(placement_.hosted_by(GroupRank(rank))); ++e)
      out[2 + e] = totals_[columns.slots_of(first_hosted_[rank] + e)];
  }
  resources.communicator.all_to_all<index_t>(counts_out_, counts_in_, width);
  arrived_.clear();
  for (index_t rank = 0; rank < columns.ranks; ++rank) {
    const Span<const index_t> in = Span<const index_t>(counts_in_).subspan(rank * width, width);
    inbound_.rows[rank] = in[0];
    inbound_.slots[rank] = in[1];
    arrived_.insert(arrived_.end(), in.begin() + 2, in.begin() + 2 + local_experts());
  }
}

void DispatchPlan::know_counts(Span<const index_t> samples_of_ranks) {
  before_ = {};
  totals_.clear();
  for (const std::int32_t count : per_sample_) totals_.push_back(count * slots_.samples);
  arrived_.clear();
  for (index_t rank = 0; rank < tables_.columns.ranks; ++rank) {
    const index_t samples = samples_of_ranks[rank];
    arrived_.insert(arrived_.end(), as_size(local_experts()), samples);
    if (rank == self_.index() || local_experts() == 0) continue;
    inbound_.rows[rank] = samples;
    inbound_.slots[rank] = samples * local_experts();
  }
}

void DispatchPlan::lay_out_messages() {
  const ops::PlanColumns& columns = tables_.columns;
  for (index_t rank = 0; rank < columns.ranks; ++rank) {
    outbound_.rows[rank] = totals_[columns.samples_to(rank)];
    outbound_.slots[rank] = totals_[columns.slots_to(rank)];
  }
  dropped_ = totals_[columns.dropped()];
  for (Messages* const messages : {&outbound_, &inbound_}) {
    messages->row_count = exclusive_scan(messages->rows, messages->first_row);
    messages->slot_count = exclusive_scan(messages->slots, messages->first_slot);
  }
}

void DispatchPlan::lay_out_rows(index_t multiple) {
  const index_t experts = local_experts();
  expert_rows_.assign(experts, 0);
  for (std::size_t i = 0; i < arrived_.size(); ++i)
    expert_rows_[static_cast<index_t>(i) % experts] += arrived_[i];
  padded_rows_.clear();
  for (const index_t rows : expert_rows_) padded_rows_.push_back(round_up(rows, multiple));
  first_row_.resize(experts);
  exclusive_scan(padded_rows_, first_row_);
  all_expert_rows_.assign(expert_rows_.begin(), expert_rows_.end());
  if (placement_.replicas() == 1) return;
  for (index_t e = 0; e < experts; ++e) all_expert_rows_[e] = rows_of_experts_[placement_.hosted_by(self_)[e]];
}

DispatchPlan::Offsets DispatchPlan::write_offsets(device::Context& context) {
  const index_t padding = std::accumulate(padded_rows_.begin(), padded_rows_.end(), index_t{0}) -
                          std::accumulate(expert_rows_.begin(), expert_rows_.end(), index_t{0});
  const index_t sources = inbound_.slot_count > 0 ? tables_.columns.ranks : 0;
  upload_.begin(context);
  const Offsets offsets{upload_.allocate<std::int32_t>(tables_.columns.width()),
                        upload_.allocate<std::int32_t>(sources * ops::Arrivals::source_width(local_experts())),
                        upload_.allocate<std::int32_t>(padding)};
  write_first(offsets.first.host);
  if (sources > 0) write_sources(offsets.sources.host);
  write_padding(offsets.padding.host);
  upload_.send();
  return offsets;
}

// ops::PlacedSlots::first.
void DispatchPlan::write_first(Span<std::int32_t> first) const {
  const ops::PlanColumns& columns = tables_.columns;
  for (int rank = 0; rank < columns.ranks; ++rank) {
    first[columns.samples_to(rank)] = narrow(outbound_.first_row[rank]);
    first[columns.slots_to(rank)] = narrow(outbound_.first_slot[rank]);
    index_t place = 0;
    for (index_t e = 0; e < std::ssize(placement_.hosted_by(GroupRank(rank))); ++e) {
      const index_t column = columns.slots_of(first_hosted_[rank] + e);
      if (rank == self_.value) {
        index_t row = first_row_[e];
        for (index_t source = 0; source < rank; ++source) row += arrived_[source * local_experts() + e];
        first[column] = narrow(row);
      } else {
        first[column] = narrow(place);
        place += totals_[column];
      }
    }
  }
  first[columns.dropped()] = narrow(outbound_.slot_count);
}

// ops::Arrivals::sources: an expert's rows come in the order of the ranks, the own ones in their turn.
void DispatchPlan::write_sources(Span<std::int32_t> sources) const {
  const index_t experts = local_experts();
  const index_t width = ops::Arrivals::source_width(experts);
  for (index_t rank = 0; rank < tables_.columns.ranks; ++rank) {
    const Span<std::int32_t> source = sources.subspan(rank * width, width);
    source[0] = narrow(inbound_.first_slot[rank]);
    source[1] = narrow(inbound_.first_row[rank]);
    const Span<std::int32_t> begin = source.subspan(2, experts + 1);
    const Span<std::int32_t> first_row = source.subspan(3 + experts, experts);
    begin[0] = 0;
    for (index_t e = 0; e < experts; ++e) {
      const index_t arrived = arrived_[rank * experts + e];
      begin[e + 1] = begin[e] + narrow(arrived);
      first_row[e] = rank == 0 ? narrow(first_row_[e])
                               : sources[(rank - 1) * width + 3 + experts + e] +
                                     narrow(arrived_[(rank - 1) * experts + e]);
    }
  }
}

void DispatchPlan::write_padding(Span<std::int32_t> rows) const {
  auto next = rows.begin();
  for (std::size_t e = 0; e < expert_rows_.size(); ++e) {
    for (index_t row = expert_rows_[e]; row < padded_rows_[e]; ++row) *next++ = narrow(first_row_[e] + row);
  }
}

void DispatchPlan::place_own(device::Context& context, const Rows& rows, const Offsets& offsets) {
  device::Workspace& workspace = context.workspace();
  const index_t expert_rows = std::accumulate(padded_rows_.begin(), padded_rows_.end(), index_t{0});
  sample_ = workspace.allocate<std::int32_t>(outbound_.row_count);
  entries_ = workspace.allocate<ops::PlanEntry>(outbound_.slot_count);
  slot_index_ = workspace.allocate<std::int32_t>(slots_.samples * slots_.slots);
  input_index_ = workspace.allocate<std::int32_t>(expert_rows);
  ops::place_slots(context, tables_, slots_, blocks_, data_or_null(before_), per_sample_table_.data(),
                   {.first = offsets.first.device.data(),
                    .sample_row = rows.samples.index,
                    .sample = sample_.data(),
                    .entries = entries_.data(),
                    .slot_index = slot_index_.data(),
                    .input_index = input_index_.data()});
}

void DispatchPlan::place_others(comm::Resources resources, const Offsets& offsets) {
  device::Context& context = resources.context;
  device::Workspace& workspace = context.workspace();
  const Span<ops::PlanEntry> entries = workspace.allocate<ops::PlanEntry>(inbound_.slot_count);
  resources.data_plane.all_to_all_rows<ops::PlanEntry>(context, entries_.data(),
                                                       {outbound_.slots, outbound_.first_slot}, entries.data(),
                                                       {inbound_.slots, inbound_.first_slot}, 1);
  const auto padding = std::ssize(offsets.padding.device);
  expert_row_ = workspace.allocate<std::int32_t>(inbound_.slot_count + padding);
  ops::place_arrivals(context, {.slots = inbound_.slot_count,
                                .entries = entries.data(),
                                .ranks = tables_.columns.ranks,
                                .experts = local_experts(),
                                .sources = offsets.sources.device.data(),
                                .padding = padding,
                                .padding_rows = offsets.padding.device.data(),
                                .zero_row = narrow(inbound_.row_count),
                                .row = expert_row_.data(),
                                .input_index = input_index_.data()});
}

}  // namespace switchyard::moe
