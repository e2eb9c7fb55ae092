// Kernels of ops/tokens.hpp, against Team (device/team.hpp).
#pragma once

#include <cstdint>
#include <type_traits>

#include "base/host_device.hpp"
#include "device/team.hpp"
#include "ops/kernels/math.hpp"
#include "ops/tokens.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops::kernels {

struct CrossEntropy {
  tensor::Matrix logits;
  const std::int32_t* targets;
  float scale;
  float* losses;
  std::int32_t* predicted;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    float* const z = logits.row(row);
    const index_t n = logits.cols;
    const std::int32_t target = targets[row];
    const index_t best = device::argmax(team, n, [=](index_t c) { return z[c]; });
    const float m = z[best];
    const float of_target = z[target] - m;
    team.sync();
    team.for_each(n, [=](index_t c) { z[c] = exp(z[c] - m); });
    const float total = team.sum(n, [=](index_t c) { return z[c]; });
    team.once([&] {
      losses[row] = -(of_target - log(total));
      predicted[row] = static_cast<std::int32_t>(best);
    });
    if (scale == 0.0F) return;
    const float factor = scale;
    team.for_each(n, [=](index_t c) { z[c] = factor * (z[c] / total - (c == target ? 1.0F : 0.0F)); });
  }
};

// "Row" is a tile. A thread of a team has tokens of its own, and walks the rows for each; one thread alone
// sorts by counting.
struct SortByToken {
  TileView tiles;
  const std::int32_t* tokens;
  index_t vocabulary;
  std::int32_t* begin;
  std::int32_t* order;

  index_t scratch_bytes() const { return 8192; }  // unused: a block of threads

  template <class Team>
  SY_HD void operator()(const Team& team, index_t tile) const {
    const std::int32_t* const of_row = tokens + tiles[tile].first_row;
    std::int32_t* const first = begin + tile * (vocabulary + 1);
    std::int32_t* const in_order = order + tiles[tile].first_row;
    const index_t rows = tiles[tile].rows;
    if constexpr (std::is_same_v<Team, device::SerialTeam>) return count(of_row, rows, first, in_order);
    team.for_each(vocabulary, [=](index_t v) {
      std::int32_t count = 0;
      for (index_t r = 0; r < rows; ++r) count += of_row[r] == v ? 1 : 0;
      first[v] = count;
    });
    team.sync();
    team.once([&] {
      std::int32_t sum = 0;
      for (index_t v = 0; v <= vocabulary; ++v) {
        const std::int32_t count = v < vocabulary ? first[v] : 0;
        first[v] = sum;
        sum += count;
      }
    });
    team.sync();
    team.for_each(vocabulary, [=](index_t v) {
      std::int32_t place = first[v];
      for (index_t r = 0; r < rows; ++r) {
        if (of_row[r] == v) in_order[place++] = static_cast<std::int32_t>(r);
      }
    });
  }

 private:
  SY_HD void count(const std::int32_t* of_row, index_t rows, std::int32_t* first,
                   std::int32_t* in_order) const {
    for (index_t v = 0; v <= vocabulary; ++v) first[v] = 0;
    for (index_t r = 0; r < rows; ++r) ++first[of_row[r]];
    std::int32_t sum = 0;
    for (index_t v = 0; v <= vocabulary; ++v) first[v] = sum += first[v];
    // From the last to the first, each before those that were placed: ascending.
    for (index_t r = rows; r-- > 0;) in_order[--first[of_row[r]]] = static_cast<std::int32_t>(r);
  }
};

// "Row" is a tile and a token.
struct AddRowsByToken {
  TileView tiles;
  index_t vocabulary;
  const std::int32_t* begin;
  const std::int32_t* order;
  tensor::ConstMatrix d_x;
  TokenTables tables;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const index_t tile = row / vocabulary;
    const index_t token = row % vocabulary;
    const std::int32_t* const first = begin + tile * (vocabulary + 1) + token;
    const index_t first_row = tiles[tile].first_row;
    float* const out = tables.first + tile * tables.stride + token * d_x.cols;
    if (!tables.added) team.for_each(d_x.cols, [=](index_t c) { out[c] = 0.0F; });
    // An element stays with one thread: no sync is needed.
    for (index_t i = first[0]; i < first[1]; ++i) {
      const float* const d = d_x.row(first_row + order[first_row + i]);
      team.for_each(d_x.cols, [=](index_t c) { out[c] += d[c]; });
    }
  }
};

}  // namespace switchyard::ops::kernels
