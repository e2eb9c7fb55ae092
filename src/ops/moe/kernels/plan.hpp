// Kernels of ops/moe/plan.hpp. One row is a block of samples.
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "ops/moe/plan.hpp"

namespace switchyard::ops::kernels {

inline constexpr std::int32_t nobody = -1;  // has a place for a slot

// The slots of a block, read by the whole team, so that the one thread that walks them finds them close by.
struct BlockOfSlots {
  PlannedSlots of;
  PlanBlocks blocks;

  index_t slot_count() const { return blocks.samples * of.slots; }
  SY_HD index_t first_sample(index_t block) const { return block * blocks.samples; }
  SY_HD index_t samples(index_t block) const {
    const index_t left = of.samples - first_sample(block);
    return left < blocks.samples ? left : blocks.samples;
  }
  // The hosted expert of slot `s`.
  SY_HD std::int32_t hosted(index_t s, const std::int32_t* hosted_of_expert) const {
    if (of.hosted != nullptr) return of.hosted[s];
    if (of.dropped != nullptr && of.dropped[s] != 0) return nobody;
    return hosted_of_expert != nullptr ? hosted_of_expert[of.experts[s]] : of.experts[s];
  }
  template <class Team>
  SY_HD void read(const Team& team, index_t block, const std::int32_t* hosted_of_expert,
                  std::int32_t* keys) const {
    const index_t first = first_sample(block) * of.slots;
    team.for_each(samples(block) * of.slots, [&](index_t i) { keys[i] = hosted(first + i, hosted_of_expert); });
  }
};

// What a team that walks along a block keeps: the keys; a number of each column; and the last sample that went
// to each rank.
struct WalkScratch {
  std::int32_t* keys;
  std::int32_t* of_column;
  std::int32_t* last;

  static index_t bytes(const BlockOfSlots& slots, const PlanColumns& columns) {
    return (slots.slot_count() + columns.width() + columns.ranks) * size_of<std::int32_t>;
  }
  SY_HD WalkScratch(std::int32_t* scratch, const BlockOfSlots& slots, const PlanColumns& columns)
      : keys(scratch),
        of_column(keys + slots.blocks.samples * slots.of.slots),
        last(of_column + columns.width()) {}

  template <class Team>
  SY_HD void reset_last(const Team& team, const PlanColumns& columns) const {
    std::int32_t* const none = last;
    team.for_each(columns.ranks, [=](index_t r) { none[r] = -1; });
  }
};

struct CountSlots {
  BlockOfSlots slots;
  PlanTables tables;
  std::int32_t* counts;  // [blocks, width]

  index_t scratch_bytes() const { return WalkScratch::bytes(slots, tables.columns); }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t block) const {
    const index_t width = tables.columns.width();
    const WalkScratch walked(team.template scratch<std::int32_t>(), slots, tables.columns);
    slots.read(team, block, tables.hosted_of_expert, walked.keys);
    walked.reset_last(team, tables.columns);
    team.for_each(width, [=](index_t c) { walked.of_column[c] = 0; });
    team.sync();
    team.once([&] { walk(slots.samples(block), walked.keys, walked.of_column, walked.last); });
    team.sync();
    std::int32_t* const out = counts + block * width;
    team.for_each(width, [=](index_t c) { out[c] = walked.of_column[c]; });
  }

 private:
  SY_HD void walk(index_t samples, const std::int32_t* keys, std::int32_t* count, std::int32_t* last) const {
    const PlanColumns& columns = tables.columns;
    for (index_t n = 0; n < samples; ++n) {
      for (index_t i = 0; i < slots.of.slots; ++i) {
        const std::int32_t key = keys[n * slots.of.slots + i];
        ++count[key == nobody ? columns.dropped() : columns.slots_of(key)];
        if (key == nobody || columns.ranks == 0) continue;
        const std::int32_t rank = tables.rank_of_hosted[key];
        if (rank == tables.self) continue;
        ++count[columns.slots_to(rank)];
        if (last[rank] == n) continue;
        last[rank] = static_cast<std::int32_t>(n);
        ++count[columns.samples_to(rank)];
      }
    }
  }
};

// By column: counts of blocks become those of the blocks before.
struct ScanBlocks {
  std::int32_t* counts;  // [blocks, width]
  index_t blocks;
  index_t width;
  std::int32_t* totals;

  SY_HD void operator()(index_t column) const {
    std::int32_t before = 0;
    for (index_t block = 0; block < blocks; ++block) {
      std::int32_t& place = counts[block * width + column];
      const std::int32_t count = place;
      place = before;
      before += count;
    }
    totals[column] = before;
  }
};

struct ChooseCopies {
  BlockOfSlots slots;
  ExpertCopies of;
  const std::int32_t* before;  // [blocks, experts and one more]
  std::int32_t* hosted;        // [N, K]

  index_t scratch_bytes() const { return (slots.slot_count() + of.experts) * size_of<std::int32_t>; }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t block) const {
    std::int32_t* const keys = team.template scratch<std::int32_t>();
    std::int32_t* const row = keys + slots.blocks.samples * slots.of.slots;
    const index_t slot_count = slots.samples(block) * slots.of.slots;
    slots.read(team, block, nullptr, keys);
    const std::int32_t* const done = before + block * (of.experts + 1);
    team.for_each(of.experts, [&](index_t e) { row[e] = of.first_row[e] + done[e]; });
    team.sync();
    team.once([&] {
      for (index_t i = 0; i < slot_count; ++i) {
        if (keys[i] != nobody) keys[i] = copy_of(keys[i], row[keys[i]]++);
      }
    });
    team.sync();
    std::int32_t* const out = hosted + slots.first_sample(block) * slots.of.slots;
    team.for_each(slot_count, [=](index_t i) { out[i] = keys[i]; });
  }

 private:
  SY_HD std::int32_t copy_of(std::int32_t expert, std::int32_t row) const {
    index_t copy = 0;
    while (row >= of.end[expert * of.copies + copy]) ++copy;
    return of.hosted[copy * of.experts + expert];
  }
};

struct PlaceSlots {
  BlockOfSlots slots;
  PlanTables tables;
  const std::int32_t* before;      // [blocks, width], or null
  const std::int32_t* per_sample;  // [width], without `before`
  PlacedSlots placed;

  index_t scratch_bytes() const { return WalkScratch::bytes(slots, tables.columns); }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t block) const {
    const index_t width = tables.columns.width();
    const WalkScratch walked(team.template scratch<std::int32_t>(), slots, tables.columns);
    const index_t first = slots.first_sample(block);
    const std::int32_t* const done = before != nullptr ? before + block * width : nullptr;
    slots.read(team, block, tables.hosted_of_expert, walked.keys);
    walked.reset_last(team, tables.columns);
    team.for_each(width, [&](index_t c) {
      walked.of_column[c] =
          placed.first[c] + (done != nullptr ? done[c] : static_cast<std::int32_t>(first) * per_sample[c]);
    });
    team.sync();
    team.once([&] {
      for (index_t n = 0; n < slots.samples(block); ++n)
        place(first + n, walked.keys + n * slots.of.slots, walked.of_column, walked.last);
    });
  }

 private:
  SY_HD void place(index_t sample, const std::int32_t* keys, std::int32_t* next, std::int32_t* last) const {
    const PlanColumns& columns = tables.columns;
    const std::int32_t lies =
        placed.sample_row != nullptr ? placed.sample_row[sample] : static_cast<std::int32_t>(sample);
    std::int32_t* const index = placed.slot_index + sample * slots.of.slots;
    for (index_t i = 0; i < slots.of.slots; ++i) {
      const std::int32_t key = keys[i];
      if (key == nobody) {
        index[i] = next[columns.dropped()]++;
        continue;
      }
      const std::int32_t among = next[columns.slots_of(key)]++;
      const std::int32_t rank = tables.rank_of_hosted[key];
      if (rank == tables.self) {
        index[i] = -1 - among;
        placed.input_index[among] = -1 - lies;
        continue;
      }
      std::int32_t& next_row = next[columns.samples_to(rank)];
      if (last[rank] != sample) {
        last[rank] = static_cast<std::int32_t>(sample);
        placed.sample[next_row++] = lies;
      }
      index[i] = next[columns.slots_to(rank)]++;
      placed.entries[index[i]] = {next_row - 1 - placed.first[columns.samples_to(rank)], among};
    }
  }
};

struct PlaceArrivals {
  Arrivals of;

  SY_HD void operator()(index_t i) const {
    if (i >= of.slots) {
      of.row[i] = of.padding_rows[i - of.slots];
      of.input_index[of.row[i]] = of.zero_row;
      return;
    }
    const std::int32_t* const source = of.sources + source_of(i) * Arrivals::source_width(of.experts);
    const std::int32_t* const begin = source + 2;
    const std::int32_t* const first_row = begin + of.experts + 1;
    const PlanEntry entry = of.entries[i];
    const index_t expert = last_at_most(begin, 1, of.experts, entry.place);
    of.row[i] = first_row[expert] + (entry.place - begin[expert]);
    of.input_index[of.row[i]] = source[1] + entry.row;
  }

 private:
  SY_HD index_t source_of(index_t slot) const {
    return last_at_most(of.sources, Arrivals::source_width(of.experts), of.ranks,
                        static_cast<std::int32_t>(slot));
  }
  // The last i in [0, n) with values[i * apart] <= value; values rise, the first is at most `value`.
  SY_HD static index_t last_at_most(const std::int32_t* values, index_t apart, index_t n, std::int32_t value) {
    index_t low = 0;
    index_t high = n;
    while (high - low > 1) {
      const index_t middle = low + (high - low) / 2;
      (values[middle * apart] <= value ? low : high) = middle;
    }
    return low;
  }
};

struct ScatterRows {
  tensor::ConstMatrix from;
  const std::int32_t* row;
  tensor::Matrix to;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t i) const {
    float* const out = to.row(row[i]);
    if (i < from.rows) {
      const float* const in = from.row(i);
      team.for_each(to.cols, [=](index_t c) { out[c] = in[c]; });
    } else {
      team.for_each(to.cols, [=](index_t c) { out[c] = 0.0F; });
    }
  }
};

}  // namespace switchyard::ops::kernels
