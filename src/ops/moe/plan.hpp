// Which slots of a batch's samples go to which rank, and where among those that do: counts by block of samples,
// an exclusive scan over the blocks, then every slot's place. Stable, without atomics: a block's slots are
// walked by one thread in their order. moe/dispatch_plan.hpp has what the places are for.
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "base/span.hpp"
#include "device/context.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// What is counted, in this order: for each rank the samples that go there, then for each rank the slots that
// do, then the slots of each hosted expert (those of rank 0 first), then the slots that no expert takes.
// Samples and slots of the own rank's experts travel nowhere and are counted for no rank.
struct PlanColumns {
  index_t ranks = 0;
  index_t hosted = 0;  // experts, each as often as it has copies

  SY_HD index_t samples_to(index_t rank) const { return rank; }
  SY_HD index_t slots_to(index_t rank) const { return ranks + rank; }
  SY_HD index_t slots_of(index_t expert) const { return 2 * ranks + expert; }
  SY_HD index_t dropped() const { return 2 * ranks + hosted; }
  SY_HD index_t width() const { return 2 * ranks + hosted + 1; }
};

// Tables of the memory of a context.
struct PlanTables {
  PlanColumns columns;
  index_t self = 0;
  const std::int32_t* hosted_of_expert = nullptr;  // null: an expert is its own number
  const std::int32_t* rank_of_hosted = nullptr;    // [hosted]; null where there are no ranks
};

// N samples of K slots.
struct PlannedSlots {
  index_t samples = 0;
  index_t slots = 0;
  const std::int32_t* experts = nullptr;  // [N, K]
  const std::uint8_t* dropped = nullptr;  // [N, K], 1 where no expert takes it; null: nowhere
  const std::int32_t* hosted = nullptr;   // [N, K] the copy that takes it; null: the expert's only one
};

// How the samples are cut into blocks: a function of the device and of the number of slots, which no result
// depends on.
struct PlanBlocks {
  index_t samples = 0;  // of a block
  index_t count = 0;

  static PlanBlocks of(const device::Context& context, index_t samples, index_t slots);
};

// before: [blocks, width], what the blocks before each have counted. totals: [width]. Two launches.
void count_slots(device::Context&, const PlanTables& tables, const PlannedSlots& slots,
                 const PlanBlocks& blocks, Span<std::int32_t> before, Span<std::int32_t> totals);

// Of an expert with several copies, each takes a run of its rows. By expert, in the memory of the context:
struct ExpertCopies {
  index_t experts = 0;
  index_t copies = 0;
  const std::int32_t* first_row = nullptr;  // [experts], this rank's first among those of all ranks
  const std::int32_t* end = nullptr;        // [experts, copies], rows of each copy and of those before it
  const std::int32_t* hosted = nullptr;     // [copies, experts], which hosted expert it is
};
// hosted[s] = the copy that takes slot s, or -1. `before` is that of count_slots without ranks.
void choose_copies(device::Context&, const ExpertCopies& copies, const PlannedSlots& slots,
                   const PlanBlocks& blocks, Span<const std::int32_t> before, Span<std::int32_t> hosted);

// What travels per slot.
struct PlanEntry {
  std::int32_t row;    // within the message
  std::int32_t place;  // among the slots of the message, ordered by expert
};

struct PlacedSlots {
  // Of each column: where its first one lies. Samples to a rank: message row; slots to a rank: message slot;
  // slots of an expert elsewhere: their place in the entries; of an expert here: its row among those of all
  // experts here; dropped slots: message slot.
  const std::int32_t* first = nullptr;       // [width]
  const std::int32_t* sample_row = nullptr;  // row of a sample where samples lie; null: its number
  std::int32_t* sample = nullptr;            // [message rows] where a sample's row lies
  PlanEntry* entries = nullptr;              // [message slots]
  std::int32_t* slot_index = nullptr;        // [N, K] message slot, or -1 - row of an expert here
  std::int32_t* input_index = nullptr;       // row of an expert here -> -1 - where the sample's row lies
};
// before: as count_slots left it; or null where every block has per_sample ([width]) of its samples.
void place_slots(device::Context&, const PlanTables& tables, const PlannedSlots& slots,
                 const PlanBlocks& blocks, const std::int32_t* before, const std::int32_t* per_sample,
                 const PlacedSlots& placed);

// What came from other ranks, and the padding behind each expert's rows.
struct Arrivals {
  index_t slots = 0;
  const PlanEntry* entries = nullptr;  // [slots]
  index_t ranks = 0;
  index_t experts = 0;  // here
  // [ranks, width()]: the first slot and the first message row of a source; [experts + 1] places in its
  // entries where each expert's begin; [experts] the row that each expert's first slot from there gets.
  const std::int32_t* sources = nullptr;
  index_t padding = 0;
  const std::int32_t* padding_rows = nullptr;  // [padding]
  std::int32_t zero_row = 0;                   // message row of zeros
  std::int32_t* row = nullptr;                 // [slots + padding] row of an expert
  std::int32_t* input_index = nullptr;         // row of an expert -> message row

  static constexpr index_t source_width(index_t experts) { return 3 + 2 * experts; }
};
void place_arrivals(device::Context&, const Arrivals& arrivals);

// to row[i] go columns of `from` row i; those behind the last one are zeros. row: [from.rows, and more].
void scatter_rows(device::Context&, tensor::ConstMatrix from, Span<const std::int32_t> row, tensor::Matrix to);

}  // namespace switchyard::ops
