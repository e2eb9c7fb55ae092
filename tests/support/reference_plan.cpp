#include "support/reference_plan.hpp"

#include "base/partition.hpp"

namespace switchyard::moe::reference {
namespace {

constexpr int nobody = -1;

// A slot of some rank: its sample there, its expert, and who takes it.
struct Slot {
  index_t sample;
  std::int32_t expert;
  int rank = nobody;
};

// By rank, in their order.
using SlotsOfRanks = std::vector<std::vector<Slot>>;

SlotsOfRanks gather(comm::Communicator& communicator, const Routing& routing) {
  std::vector<std::int32_t> mine;
  for (index_t s = 0; s < std::ssize(routing.experts); ++s)
    mine.push_back(routing.is_dropped(s) ? nobody : routing.experts[s]);
  const std::vector<index_t> counts = communicator.all_gather<index_t>(std::ssize(mine));
  index_t total = 0;
  for (const index_t count : counts) total += count;
  std::vector<std::int32_t> all(as_size(total));
  communicator.all_gather_rows<std::int32_t>(mine, all, counts, 1);
  SlotsOfRanks slots;
  auto next = all.begin();
  for (const index_t count : counts) {
    std::vector<Slot>& of_rank = slots.emplace_back();
    for (index_t i = 0; i < count; ++i) of_rank.push_back({i / routing.slots, *next++});
  }
  return slots;
}

// An expert's rows are in the order of the ranks and of their slots; each of its copies has a run of them.
void choose_ranks(const Placement& placement, const nn::RowBlocks& blocks, SlotsOfRanks& slots,
                  std::vector<index_t>& rows_of_expert) {
  for (std::int32_t e = 0; e < placement.expert_count(); ++e) {
    std::vector<Slot*> rows;
    for (std::vector<Slot>& of_rank : slots) {
      for (Slot& slot : of_rank) {
        if (slot.expert == e) rows.push_back(&slot);
      }
    }
    for (std::size_t row = 0; row < rows.size(); ++row) {
      int copy = 0;
      while (static_cast<index_t>(row) >= blocks.rows_of_copy(std::ssize(rows), copy).end) ++copy;
      rows[row]->rank = placement.owner(ExpertId(e), copy).value;
    }
    rows_of_expert.push_back(std::ssize(rows));
  }
}

// From one rank to another: the samples, each once; and of each slot its sample's place among them.
struct Message {
  std::vector<index_t> samples;
  std::vector<std::int32_t> row;
};
Message message_to(const std::vector<Slot>& slots, int rank) {
  Message message;
  for (const Slot& slot : slots) {
    if (slot.rank != rank) continue;
    if (message.samples.empty() || message.samples.back() != slot.sample)
      message.samples.push_back(slot.sample);
    message.row.push_back(static_cast<std::int32_t>(message.samples.size()) - 1);
  }
  return message;
}

}  // namespace

Plan plan_of(comm::Communicator& communicator, const Placement& placement, const Routing& routing,
             const Rows& rows, const nn::RowBlocks& blocks) {
  const int self = communicator.rank().value;
  const int ranks = communicator.size();
  SlotsOfRanks slots = gather(communicator, routing);
  std::vector<index_t> rows_of_expert;
  choose_ranks(placement, blocks, slots, rows_of_expert);

  Plan plan;
  const auto hosted = placement.hosted_by(communicator.rank());
  plan.expert_rows.resize(hosted.size());
  for (const std::vector<Slot>& of_rank : slots) {
    for (const Slot& slot : of_rank) {
      if (slot.rank == self) ++plan.expert_rows[as_size(placement.local(ExpertId(slot.expert)).value)];
    }
  }
  std::vector<index_t> next_row;
  index_t all_rows = 0;
  for (std::size_t e = 0; e < hosted.size(); ++e) {
    next_row.push_back(all_rows);
    plan.padded_rows.push_back(round_up(plan.expert_rows[e], rows.multiple));
    all_rows += plan.padded_rows.back();
    plan.all_expert_rows.push_back(rows_of_expert[as_size(hosted[e].value)]);
  }

  index_t message_rows = 0;
  for (int source = 0; source < ranks; ++source) {
    const Message message = source == self ? Message() : message_to(slots[as_size(source)], self);
    plan.rows_in.push_back(std::ssize(message.samples));
    plan.slots_in.push_back(std::ssize(message.row));
    message_rows += plan.rows_in.back();
  }
  // Padding reads the row behind the last one of the messages.
  plan.input_index.assign(as_size(all_rows), static_cast<std::int32_t>(message_rows));
  plan.slot_index.resize(slots[as_size(self)].size());
  index_t first_row = 0;
  for (int source = 0; source < ranks; ++source) {
    const std::vector<Slot>& of_rank = slots[as_size(source)];
    const Message message = source == self ? Message() : message_to(of_rank, self);
    std::size_t in_message = 0;
    for (std::size_t s = 0; s < of_rank.size(); ++s) {
      if (of_rank[s].rank != self) continue;
      const index_t row = next_row[as_size(placement.local(ExpertId(of_rank[s].expert)).value)]++;
      if (source == self) {
        plan.slot_index[s] = static_cast<std::int32_t>(-1 - row);
        plan.input_index[as_size(row)] = -1 - rows.lies[as_size(of_rank[s].sample)];
      } else {
        plan.expert_row.push_back(static_cast<std::int32_t>(row));
        plan.input_index[as_size(row)] = static_cast<std::int32_t>(first_row) + message.row[in_message++];
      }
    }
    first_row += plan.rows_in[as_size(source)];
  }
  index_t first = 0;
  for (std::size_t e = 0; e < hosted.size(); ++e) {
    for (index_t row = plan.expert_rows[e]; row < plan.padded_rows[e]; ++row)
      plan.expert_row.push_back(static_cast<std::int32_t>(first + row));
    first += plan.padded_rows[e];
  }

  std::int32_t message_slot = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    const Message message = rank == self ? Message() : message_to(slots[as_size(self)], rank);
    plan.rows_out.push_back(std::ssize(message.samples));
    plan.slots_out.push_back(std::ssize(message.row));
    for (const index_t sample : message.samples) plan.sample.push_back(rows.lies[as_size(sample)]);
    for (std::size_t s = 0; s < plan.slot_index.size() && rank != self; ++s) {
      if (slots[as_size(self)][s].rank == rank) plan.slot_index[s] = message_slot++;
    }
  }
  for (std::size_t s = 0; s < plan.slot_index.size(); ++s) {
    if (slots[as_size(self)][s].rank != nobody) continue;
    plan.slot_index[s] = message_slot++;
    ++plan.dropped;
  }
  return plan;
}

}  // namespace switchyard::moe::reference
