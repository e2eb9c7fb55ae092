// Kernels of ops/patch_filters.hpp.
#pragma once

#include "base/host_device.hpp"
#include "ops/kernels/activations.hpp"
#include "ops/kernels/pack.hpp"
#include "ops/patch_filters.hpp"

namespace switchyard::ops::kernels {

// Row r: out[r], and the record that backward needs.
struct PatchFiltersForward {
  PatchFilterShape shape;
  tensor::RowSource samples;
  const float* weight;
  const float* bias;  // null: none
  PatchFilterRecord record;
  tensor::Matrix out;

  // Per unit: the sum over patches after the activation.
  index_t scratch_bytes() const { return shape.units() * static_cast<index_t>(sizeof(float)); }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const x = samples.row(row);
    float* const z = record.filtered.row(row);
    if (shape.sums_first()) {
      float* const sum = record.sums.row(row);
      add_patches(team, x, sum);
      team.sync();
      filter(team, sum, z);
    } else {
      filter(team, x, z);
    }
    team.sync();

    const index_t units = shape.units();
    float* const active = team.template scratch<float>();
    team.for_each(units, [&](index_t u) { active[u] = 0.0F; });
    const index_t patches = shape.filtered_patches();
    with_activation(shape.activation, [=, &team](auto activation) SY_ALWAYS_INLINE {
      for (index_t p = 0; p < patches; ++p) {
        const float* const z_p = z + p * units;
        team.for_each(units, [=](index_t u) SY_ALWAYS_INLINE { active[u] += activation.value(z_p[u]); });
      }
    });
    team.sync();
    float* const y = out.row(row);
    const index_t filters = shape.filters;
    team.for_each(shape.outputs, [&](index_t o) {
      float sum = 0;
      for (index_t j = 0; j < filters; ++j) sum += active[o * filters + j];
      y[o] = sum;
    });
  }

 private:
  template <class Team>
  SY_HD void add_patches(const Team& team, const float* x, float* sum) const {
    const index_t size = shape.patch_size;
    team.for_each(size, [&](index_t i) { sum[i] = x[i]; });
    for (index_t p = 1; p < shape.patches; ++p) {
      const float* const x_p = x + p * size;
      team.for_each(size, [&](index_t i) { sum[i] += x_p[i]; });
    }
  }

  // z[p][u] = b_u + sum_i w[i][u] x[p][i], by the index i. Eight chains of multiply-adds hide its latency: four
  // patches by two packs of units, or one patch (a sum, or what is left over) by eight.
  template <class Team>
  SY_HD void filter(const Team& team, const float* x, float* z) const {
    constexpr int width = pack_width<Team>;
    using P = Pack<width>;
    const index_t packs = (shape.units() + width - 1) / width;
    const index_t fours = shape.filtered_patches() / 4;
    const index_t groups = fours + shape.filtered_patches() % 4;
    const index_t columns = (packs + 1) / 2;  // of two packs
    team.for_each(groups * columns, [=, this](index_t item) SY_ALWAYS_INLINE {
      const PatchFiltersForward k = *this;  // a copy stays in registers: no store can change it
      const index_t group = item / columns;
      const index_t pack = item % columns * 2;
      if (group < fours) {
        if (pack + 1 < packs) {
          k.template filter_patches<P, 4, 2>(x, z, 4 * group, pack * width);
        } else {
          k.template filter_patches<P, 4, 1>(x, z, 4 * group, pack * width);
        }
      } else {
        const index_t patch = 4 * fours + group - fours;
        // The first of four columns takes all of them.
        if (pack % 8 == 0 && pack + 8 <= packs) {
          k.template filter_patches<P, 1, 8>(x, z, patch, pack * width);
        } else if (pack / 8 * 8 + 8 > packs) {
          k.template filter_patches<P, 1, 1>(x, z, patch, pack * width);
          if (pack + 1 < packs) k.template filter_patches<P, 1, 1>(x, z, patch, (pack + 1) * width);
        }
      }
    });
  }

  template <class P, int patches, int packs>
  SY_ALWAYS_INLINE SY_HD void filter_patches(const float* x, float* z, index_t first, index_t unit) const {
    const index_t units = shape.units();
    const index_t size = shape.patch_size;
    const index_t width = pack_floats<P>;
    const float copies = shape.sums_first() ? static_cast<float>(shape.patches) : 1.0F;
    P sum[patches][packs];
    unrolled<packs>([&](auto u) SY_ALWAYS_INLINE {
      // The sum over patches has met the bias once for each patch.
      const index_t column = unit + u * width;
      const P start = bias == nullptr ? P::broadcast(0)
                                      : fma(P::broadcast(copies), P::load_first(bias + column, units - column),
                                            P::broadcast(0));
      unrolled<patches>([&](auto p) SY_ALWAYS_INLINE { sum[p][u] = start; });
    });
    const float* const x_first = x + first * size;
    for (index_t i = 0; i < size; ++i) {
      P w[packs];
      unrolled<packs>([&](auto u) SY_ALWAYS_INLINE {
        const index_t column = unit + u * width;
        w[u] = P::load_first(weight + i * units + column, units - column);
      });
      unrolled<patches>([&](auto p) SY_ALWAYS_INLINE {
        const P value = P::broadcast(x_first[p * size + i]);
        unrolled<packs>([&](auto u) SY_ALWAYS_INLINE { sum[p][u] = fma(value, w[u], sum[p][u]); });
      });
    }
    unrolled<patches>([&](auto p) SY_ALWAYS_INLINE {
      unrolled<packs>([&](auto u) SY_ALWAYS_INLINE {
        const index_t column = unit + u * width;
        sum[p][u].store_first(z + (first + p) * units + column, units - column);
      });
    });
  }
};

// Row r: filtered[r] becomes the loss's gradient by it: d_out times the activation's derivative.
struct PatchFiltersActivationBackward {
  PatchFilterShape shape;
  tensor::ConstMatrix d_out;
  tensor::Matrix filtered;

  // Per unit: the gradient of its output.
  index_t scratch_bytes() const { return shape.units() * static_cast<index_t>(sizeof(float)); }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const index_t units = shape.units();
    const index_t filters = shape.filters;
    const float* const dy = d_out.row(row);
    float* const dy_of_unit = team.template scratch<float>();
    for (index_t o = 0; o < shape.outputs; ++o) {
      const float value = dy[o];
      team.for_each(filters, [&](index_t j) { dy_of_unit[o * filters + j] = value; });
    }
    team.sync();
    float* const first = filtered.row(row);
    const index_t patches = shape.filtered_patches();
    with_activation(shape.activation, [=, &team](auto activation) SY_ALWAYS_INLINE {
      for (index_t p = 0; p < patches; ++p) {
        float* const z = first + p * units;
        team.for_each(units,
                      [=](index_t u) SY_ALWAYS_INLINE { z[u] = dy_of_unit[u] * activation.derivative(z[u]); });
      }
    });
  }
};

// Rows are taken in chunks of this many: the sums of a chunk are kept in float32 registers, chunks are added in
// float64.
inline constexpr index_t patch_filter_chunk = 64;

// Chunk c: partials[c] = sums over the chunk's rows and patches of
//   [patch_size, units]  x_i dz_u
//   [units]              dz_u, if there is a bias
// in the order of rows, then patches.
struct PatchFilterGradients {
  PatchFilterShape shape;
  tensor::RowSource inputs;  // [rows, filtered_patches() * patch_size]
  tensor::ConstMatrix d_filtered;
  float* partials;

  SY_HD index_t sum_count() const { return shape.weight_count() + shape.bias_count(); }
  index_t scratch_bytes() const { return 0; }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t chunk) const {
    constexpr int width = pack_width<Team>;
    constexpr index_t block = 10;  // inputs at once: as many chains of multiply-adds
    const index_t packs = (shape.units() + width - 1) / width;
    const index_t blocks = (shape.patch_size + block - 1) / block;
    team.for_each((blocks + (shape.bias ? 1 : 0)) * packs, [=, this](index_t item) SY_ALWAYS_INLINE {
      const PatchFilterGradients k = *this;  // a copy stays in registers: no store can change it
      const index_t unit = item % packs * width;
      const index_t first = item / packs * block;
      using P = Pack<width>;
      if (item / packs == blocks) {
        k.template add_bias<P>(chunk, unit);
      } else if (first + block <= k.shape.patch_size) {
        k.template add_inputs<P, block>(chunk, unit, first);
      } else {
        index_t i = first;
        for (; i + 4 <= k.shape.patch_size; i += 4) k.template add_inputs<P, 4>(chunk, unit, i);
        for (; i < k.shape.patch_size; ++i) k.template add_inputs<P, 1>(chunk, unit, i);
      }
    });
  }

 private:
  SY_HD index_t end_of(index_t chunk) const {
    const index_t end = (chunk + 1) * patch_filter_chunk;
    return end < inputs.rows ? end : inputs.rows;
  }

  // Inputs [first, first + count) against the units from `unit` on.
  template <class P, int count>
  SY_ALWAYS_INLINE SY_HD void add_inputs(index_t chunk, index_t unit, index_t first) const {
    const index_t units = shape.units();
    const index_t size = shape.patch_size;
    const index_t patches = shape.filtered_patches();
    P sum[count];
    unrolled<count>([&](auto i) SY_ALWAYS_INLINE { sum[i] = P::broadcast(0); });
    const index_t end = end_of(chunk);
    for (index_t row = chunk * patch_filter_chunk; row < end; ++row) {
      const float* x = inputs.row(row) + first;
      const float* dz = d_filtered.row(row) + unit;
      for (index_t p = 0; p < patches; ++p, x += size, dz += units) {
        const P gradient = P::load_first(dz, units - unit);
        unrolled<count>([&](auto i) SY_ALWAYS_INLINE { sum[i] = fma(P::broadcast(x[i]), gradient, sum[i]); });
      }
    }
    float* const to = partials + chunk * sum_count() + first * units + unit;
    unrolled<count>([&](auto i) SY_ALWAYS_INLINE { sum[i].store_first(to + i * units, units - unit); });
  }

  template <class P>
  SY_ALWAYS_INLINE SY_HD void add_bias(index_t chunk, index_t unit) const {
    const index_t units = shape.units();
    P sum = P::broadcast(0);
    const index_t end = end_of(chunk);
    for (index_t row = chunk * patch_filter_chunk; row < end; ++row) {
      const float* const dz = d_filtered.row(row) + unit;
      for (index_t p = 0; p < shape.filtered_patches(); ++p) {
        sum = sum + P::load_first(dz + p * units, units - unit);
      }
    }
    sum.store_first(partials + chunk * sum_count() + shape.patch_size * units + unit, units - unit);
  }
};

}  // namespace switchyard::ops::kernels
