// Kernels of ops/moe/counts.hpp.
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "ops/moe/counts.hpp"

namespace switchyard::ops::kernels {

// Ties to the lower; the first one where it is no number, as it is above none.
SY_HD inline std::int32_t class_of(NamedClass names, const float* row, index_t outputs) {
  if (names == NamedClass::positive) return row[0] > 0.0F ? 1 : 0;
  index_t best = 0;
  for (index_t c = 1; c < outputs; ++c) best = row[best] < row[c] ? c : best;
  return static_cast<std::int32_t>(best);
}

// "Row" is a block of rows, which have a table of counts of their own: one thread walks them, since counts of
// several would meet in one place. What it needs of each row the team has found before.
struct CountBlock {
  CountedRows of;
  CountColumns columns;
  index_t block;         // rows
  bool in_scratch;       // the table, while it is filled
  std::int32_t* tables;  // [blocks, width]

  // Per row: the expert with the largest weight, and the class that it names; then the table.
  index_t scratch_bytes() const {
    return (2 * block + (in_scratch ? columns.width : 0)) * size_of<std::int32_t>;
  }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t index) const {
    const index_t first = index * block;
    const index_t left = of.rows - first;
    const index_t n = left < block ? left : block;
    std::int32_t* const expert = team.template scratch<std::int32_t>();
    std::int32_t* const named = expert + block;
    std::int32_t* const stored = tables + index * columns.width;
    std::int32_t* const table = in_scratch ? named + block : stored;
    team.for_each(columns.width, [=](index_t i) { table[i] = 0; });
    if (of.experts != nullptr)
      team.for_each(n, [&](index_t r) { find_chosen(first + r, expert[r], named[r]); });
    team.sync();
    team.once([&] {
      for (index_t r = 0; r < n; ++r) count(first + r, expert[r], named[r], table);
    });
    if (!in_scratch) return;
    team.sync();
    team.for_each(columns.width, [=](index_t i) { stored[i] = table[i]; });
  }

 private:
  SY_HD void find_chosen(index_t row, std::int32_t& expert, std::int32_t& named) const {
    const float* const log_w = of.log_weights.row(row);
    index_t chosen = 0;
    for (index_t i = 0; i < of.slots; ++i) chosen = log_w[i] > log_w[chosen] ? i : chosen;
    const index_t slot = row * of.slots + chosen;
    expert = of.experts[slot];
    if (columns.by_prediction < 0) return;
    const bool is_dropped = of.dropped != nullptr && of.dropped[slot] != 0;
    named = is_dropped ? of.predicted[row] : class_of(of.names, of.outputs.row(slot), of.outputs.cols);
  }

  SY_HD void count(index_t row, std::int32_t expert, std::int32_t named, std::int32_t* table) const {
    if (columns.errors >= 0) table[columns.errors] += of.predicted[row] != of.labels[row] ? 1 : 0;
    if (of.experts == nullptr) return;
    if (columns.loads >= 0) {
      for (index_t i = 0; i < of.slots; ++i) ++table[columns.loads + of.experts[row * of.slots + i]];
    }
    if (columns.by_label >= 0) ++table[columns.by_label + of.labels[row] * columns.experts + expert];
    if (columns.by_prediction >= 0) ++table[columns.by_prediction + named * columns.experts + expert];
    if (columns.by_group >= 0) {
      const index_t group = of.groups != nullptr ? of.groups[row] : 0;
      ++table[columns.by_group + group * columns.experts + expert];
    }
  }
};

struct AddCounts {
  const std::int32_t* tables;  // [blocks, width]
  index_t blocks;
  index_t width;
  KnownCount known[most_known_counts];
  std::int64_t* counts;

  SY_HD void operator()(index_t i) const {
    std::int64_t sum = 0;
    for (index_t block = 0; block < blocks; ++block) sum += tables[block * width + i];
    for (const KnownCount& of : known) {
      if (i >= of.column && i < of.column + of.columns) sum += of.count;
    }
    counts[i] += sum;
  }
};

}  // namespace switchyard::ops::kernels
