// Kernels of ops/patch_filters.hpp.
#pragma once

#include "base/host_device.hpp"
#include "ops/kernels/activations.hpp"
#include "ops/kernels/pack.hpp"
#include "ops/kernels/tile_chunks.hpp"
#include "ops/patch_filters.hpp"
#include "ops/tile_rows.hpp"

namespace switchyard::ops::kernels {

// Row r: an image as squares.
struct CutPatches {
  tensor::RowSource images;
  index_t channels, height, width, side;
  tensor::Matrix out;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const from = images.row(row);
    float* const to = out.row(row);
    const CutPatches k = *this;
    // A line of a square lies side by side in both.
    team.for_each(channels * height * (width / side), [=](index_t line) {
      const GridPlace of_square(line, k.channels * k.side), of_channel(of_square.column, k.side);
      const GridPlace square(of_square.row, k.width / k.side);
      const index_t y = square.row * k.side + of_channel.column;
      const float* const pixels = from + (of_channel.row * k.height + y) * k.width + square.column * k.side;
      for (index_t x = 0; x < k.side; ++x) to[line * k.side + x] = pixels[x];
    });
  }
};

// "Row" i: out[r] of the samples r of group i, and the record that backward needs. A tile's samples are taken
// in groups, so that there are vectors enough (patches of the samples, or their sums) to hide the latency of a
// multiply-add.
struct PatchFiltersForward {
  PatchFilterShape shape;
  TileChunks groups;
  tensor::RowSource samples;
  PatchFilterWeights weights;
  PatchFilterRecord record;
  tensor::Matrix out;

  static SY_HD index_t group_size(const PatchFilterShape& shape) { return shape.sums_first() ? 8 : 2; }

  static constexpr index_t ahead = 8;  // rows, between a prefetch and its use

  // The group's values after the activation.
  static index_t scratch_bytes(const PatchFilterShape& shape) {
    return group_size(shape) * shape.filtered_patches() * shape.units() * size_of<float>;
  }
  index_t scratch_bytes() const { return scratch_bytes(shape); }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t i) const {
    const TileChunks::Chunk group = groups.at(i);
    if (group.empty()) return;
    const index_t first = group.begin;
    const index_t count = group.end - group.begin;
    const index_t set = groups.tiles[group.tile].set;
    if (!samples.in_order()) {
      for (index_t row = first + ahead; row < first + ahead + count && row < samples.rows; ++row)
        prefetch_row(samples.row(row), shape.in_features());
    }
    if (shape.sums_first()) {
      for (index_t row = first; row < first + count; ++row)
        add_patches(team, samples.row(row), record.sums.row(row));
      team.sync();
    }
    filter(team, {weights.weight.of(set), weights.bias.of(set)}, first, count);
    team.sync();
    if (!shape.is_linear_map()) activate(team, first, count);
  }

 private:
  template <class Team>
  SY_HD void add_patches(const Team& team, const float* x, float* sum) const {
    const index_t size = shape.patch_size;
    team.for_each(size, [=](index_t i) { sum[i] = x[i]; });
    for (index_t p = 1; p < shape.patches; ++p) {
      const float* const x_p = x + p * size;
      team.for_each(size, [=](index_t i) { sum[i] += x_p[i]; });
    }
  }

  // y_o = sum_j sum_p activation(z[p][o, j]). The activation runs over all patches at once, so that its loop is
  // long enough for vector registers.
  template <class Team>
  SY_HD void activate(const Team& team, index_t first, index_t count) const {
    constexpr int width = pack_width<Team>;
    using P = Pack<width>;
    const index_t units = shape.units();
    const index_t patches = shape.filtered_patches();
    const tensor::Matrix filtered = record.filtered;
    float* const active = team.template scratch<float>();
    with_activation(shape.activation, [=, &team](auto activation) SY_ALWAYS_INLINE {
      for (index_t row = 0; row < count; ++row) {
        const float* const z = filtered.row(first + row);
        float* const to = active + row * patches * units;
        team.for_each(patches * units, [=](index_t i) SY_ALWAYS_INLINE { to[i] = activation.value(z[i]); });
      }
    });
    team.sync();
    // The first patch's place takes the sum over patches.
    const index_t packs = (units + width - 1) / width;
    if (patches > 1) {
      team.for_each(count * packs, [=](index_t item) SY_ALWAYS_INLINE {
        const GridPlace place(item, packs);
        const index_t unit = place.column * width;
        float* const from = active + place.row * patches * units + unit;
        P sum = P::load_first(from, units - unit);
        for (index_t p = 1; p < patches; ++p) sum = sum + P::load_first(from + p * units, units - unit);
        sum.store_first(from, units - unit);
      });
      team.sync();
    }
    const index_t filters = shape.filters;
    for (index_t row = 0; row < count; ++row) {
      const float* const of_row = active + row * patches * units;
      float* const y = out.row(first + row);
      if (filters == 1) {
        team.for_each(shape.outputs, [=](index_t o) { y[o] = of_row[o]; });
        continue;
      }
      team.for_each(shape.outputs, [=](index_t o) SY_ALWAYS_INLINE {
        const float* const from = of_row + o * filters;
        float sum[4] = {};  // chains of additions
        index_t j = 0;
        for (; j + 4 <= filters; j += 4) unrolled<4>([&](auto k) SY_ALWAYS_INLINE { sum[k] += from[j + k]; });
        for (; j < filters; ++j) sum[0] += from[j];
        y[o] = (sum[0] + sum[2]) + (sum[1] + sum[3]);
      });
    }
  }

  // Vector v of the group: a patch of one of its samples, or a sum; and where its filters' results go.
  struct Vector {
    const float* x;
    float* z;
  };
  SY_HD Vector vector(index_t first, index_t v) const {
    if (shape.sums_first()) {
      return {record.sums.row(first + v), (shape.is_linear_map() ? out : record.filtered).row(first + v)};
    }
    const index_t sample = v < shape.patches ? 0 : 1;  // of two: a division for each vector would cost
    const index_t patch = v - sample * shape.patches;
    return {samples.row(first + sample) + patch * shape.patch_size,
            record.filtered.row(first + sample) + patch * shape.units()};
  }

  struct Filters {
    const float* weight;
    const float* bias;  // null: none
  };

  // z[v][u] = b_u + sum_i w[i][u] x[v][i], by the index i.
  template <class Team>
  SY_HD void filter(const Team& team, Filters filters, index_t first, index_t count) const {
    constexpr int width = pack_width<Team>;
    using P = Pack<width>;
    const index_t vectors = count * shape.filtered_patches();
    const index_t packs = (shape.units() + width - 1) / width;
    // Eight chains: eight vectors by one pack, or four by two.
    const index_t at_once = packs == 1 ? 8 : 4;
    const index_t columns = (packs + 1) / 2;
    const index_t item_rows = (vectors + at_once - 1) / at_once;
    team.for_each(item_rows * columns, [=, this](index_t item) SY_ALWAYS_INLINE {
      const PatchFiltersForward& k = *this;
      const GridPlace place(item, columns);
      const index_t v = place.row * at_once;
      const index_t pack = place.column * 2;
      const index_t unit = pack * width;
      if (v + at_once > vectors) {
        for (index_t i = v; i < vectors; ++i) {
          k.template filter_vectors<P, 1, 1>(filters, first, i, unit);
          if (pack + 1 < packs) k.template filter_vectors<P, 1, 1>(filters, first, i, unit + width);
        }
      } else if (packs == 1) {
        k.template filter_vectors<P, 8, 1>(filters, first, v, unit);
      } else if (pack + 1 < packs) {
        k.template filter_vectors<P, 4, 2>(filters, first, v, unit);
      } else {
        k.template filter_vectors<P, 4, 1>(filters, first, v, unit);
      }
    });
  }

  template <class P, int vectors, int packs>
  SY_NO_INLINE SY_HD void filter_vectors(Filters filters, index_t first, index_t v, index_t unit) const {
    const index_t units = shape.units();
    const index_t size = shape.patch_size;
    const index_t width = pack_floats<P>;
    // The sum over patches has met the bias once for each patch.
    const float copies = shape.sums_first() ? static_cast<float>(shape.patches) : 1.0F;
    const float* x[as_size(vectors)];
    unrolled<vectors>([&](auto j) SY_ALWAYS_INLINE { x[j] = vector(first, v + j).x; });
    P sum[as_size(vectors)][as_size(packs)];
    unrolled<packs>([&](auto u) SY_ALWAYS_INLINE {
      const index_t column = unit + u * width;
      const P start = filters.bias == nullptr
                          ? P::broadcast(0)
                          : fma(P::broadcast(copies), P::load_first(filters.bias + column, units - column),
                                P::broadcast(0));
      unrolled<vectors>([&](auto j) SY_ALWAYS_INLINE { sum[j][u] = start; });
    });
    for (index_t i = 0; i < size; ++i) {
      P w[as_size(packs)];
      unrolled<packs>([&](auto u) SY_ALWAYS_INLINE {
        const index_t column = unit + u * width;
        w[u] = P::load_first(filters.weight + i * units + column, units - column);
      });
      unrolled<vectors>([&](auto j) SY_ALWAYS_INLINE {
        const P value = P::broadcast(x[j][i]);
        unrolled<packs>([&](auto u) SY_ALWAYS_INLINE { sum[j][u] = fma(value, w[u], sum[j][u]); });
      });
    }
    unrolled<vectors>([&](auto j) SY_ALWAYS_INLINE {
      float* const z = vector(first, v + j).z;
      unrolled<packs>([&](auto u) SY_ALWAYS_INLINE {
        const index_t column = unit + u * width;
        sum[j][u].store_first(z + column, units - column);
      });
    });
  }
};

// Row r of the tiles' rows: filtered[r] becomes the loss's gradient by it: d_out times the activation's
// derivative.
struct PatchFiltersActivationBackward {
  PatchFilterShape shape;
  TileRows rows;
  tensor::ConstMatrix d_out;
  tensor::Matrix filtered;

  // Per unit the gradient of its output, then the activation's derivatives.
  static index_t scratch_bytes(const PatchFilterShape& shape) {
    return (1 + shape.filtered_patches()) * shape.units() * size_of<float>;
  }
  index_t scratch_bytes() const { return scratch_bytes(shape); }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t launched) const {
    const TileRows::Place of_batch = rows.at(launched);
    if (!of_batch.exists) return;
    const index_t row = of_batch.row;
    constexpr int width = pack_width<Team>;
    using P = Pack<width>;
    const index_t units = shape.units();
    const index_t patches = shape.filtered_patches();
    const index_t filters = shape.filters;
    const float* const dy = d_out.row(row);
    float* const dy_of_unit = team.template scratch<float>();
    float* const slope = dy_of_unit + units;
    float* const z = filtered.row(row);
    if (filters == 1) {
      team.for_each(units, [=](index_t u) { dy_of_unit[u] = dy[u]; });
    } else {
      for (index_t o = 0; o < shape.outputs; ++o) {
        const float value = dy[o];
        team.for_each(filters, [=](index_t j) { dy_of_unit[o * filters + j] = value; });
      }
    }
    with_activation(shape.activation, [=, &team](auto activation) SY_ALWAYS_INLINE {
      team.for_each(patches * units,
                    [=](index_t i) SY_ALWAYS_INLINE { slope[i] = activation.derivative(z[i]); });
    });
    team.sync();
    const index_t packs = (units + width - 1) / width;
    const P zero = P::broadcast(0);
    team.for_each(patches * packs, [=](index_t item) SY_ALWAYS_INLINE {
      const GridPlace at(item, packs);
      const index_t unit = at.column * width;
      const index_t place = at.row * units + unit;
      const index_t n = units - unit;
      fma(P::load_first(slope + place, n), P::load_first(dy_of_unit + unit, n), zero).store_first(z + place, n);
    });
  }
};

// Rows are taken in chunks of this many: the sums of a chunk are kept in float32 registers, chunks are added in
// float64.
inline constexpr index_t patch_filter_chunk = 32;

// Chunk c of the tiles: partials[c] = sums over the chunk's rows and patches of
//   [patch_size, units]  x_i dz_u
//   [units]              dz_u, if there is a bias, times P where the sum over patches came first
// in the order of rows, then patches.
struct PatchFilterGradients {
  PatchFilterShape shape;
  TileChunks chunks;
  tensor::RowSource inputs;  // [rows, filtered_patches() * patch_size]
  tensor::ConstMatrix d_filtered;
  float* partials;

  SY_HD index_t sum_count() const { return shape.weight_count() + shape.bias_count(); }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t i) const {
    const TileChunks::Chunk rows = chunks.at(i);
    if (rows.empty()) return;
    float* const sums = partials + i * sum_count();
    constexpr int width = pack_width<Team>;
    using P = Pack<width>;
    const index_t packs = (shape.units() + width - 1) / width;
    const index_t blocks = (shape.patch_size + block - 1) / block;
    team.for_each((blocks + (shape.bias ? 1 : 0)) * packs, [=, this](index_t item) {
      const GridPlace place(item, packs);
      const index_t unit = place.column * width;
      const index_t first = place.row * block;
      if (place.row == blocks) {
        add_bias<P>(rows, sums, unit);
      } else if (shape.patch_size >= block) {
        // The last block begins earlier, so that it is full, and stores what the one before did not.
        const index_t start = first + block <= shape.patch_size ? first : shape.patch_size - block;
        add_inputs<P, block>(rows, sums, unit, start, first - start);
      } else {
        index_t input = 0;
        for (; input + 4 <= shape.patch_size; input += 4) add_inputs<P, 4>(rows, sums, unit, input, 0);
        for (; input < shape.patch_size; ++input) add_inputs<P, 1>(rows, sums, unit, input, 0);
      }
    });
  }

 private:
  // Inputs at once: as many sums as registers hold.
  static constexpr int block = 25;

  // Inputs [first, first + count) against the units from `unit` on; the first `done` of them are not stored. A
  // function of its own keeps what it needs in registers.
  template <class P, int count>
  SY_NO_INLINE SY_HD void add_inputs(TileChunks::Chunk rows, float* sums, index_t unit, index_t first,
                                     index_t done) const {
    const index_t units = shape.units();
    const index_t size = shape.patch_size;
    const index_t patches = shape.filtered_patches();
    P sum[as_size(count)];
    unrolled<count>([&](auto i) SY_ALWAYS_INLINE { sum[i] = P::broadcast(0); });
    for (index_t row = rows.begin; row < rows.end; ++row) {
      const float* x = inputs.row(row) + first;
      const float* dz = d_filtered.row(row) + unit;
      for (index_t p = 0; p < patches; ++p) {
        const P gradient = P::load_first(dz, units - unit);
        unrolled<count>([&](auto i) SY_ALWAYS_INLINE { sum[i] = fma(P::broadcast(x[i]), gradient, sum[i]); });
        x += size;
        dz += units;
      }
    }
    float* const to = sums + first * units + unit;
    unrolled<count>([&](auto i) SY_ALWAYS_INLINE {
      if (i >= done) sum[i].store_first(to + i * units, units - unit);
    });
  }

  template <class P>
  SY_ALWAYS_INLINE SY_HD void add_bias(TileChunks::Chunk rows, float* sums, index_t unit) const {
    const index_t units = shape.units();
    P sum = P::broadcast(0);
    for (index_t row = rows.begin; row < rows.end; ++row) {
      const float* const dz = d_filtered.row(row) + unit;
      for (index_t p = 0; p < shape.filtered_patches(); ++p) {
        sum = sum + P::load_first(dz + p * units, units - unit);
      }
    }
    const float copies = shape.sums_first() ? static_cast<float>(shape.patches) : 1.0F;
    sum = fma(P::broadcast(copies), sum, P::broadcast(0));
    sum.store_first(sums + shape.patch_size * units + unit, units - unit);
  }
};

}  // namespace switchyard::ops::kernels
