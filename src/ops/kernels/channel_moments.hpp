// Mean and variance of the channels of images whose channels lie side by side.
#pragma once

#include "ops/kernels/image_part.hpp"
#include "ops/kernels/pack.hpp"
#include "ops/pooled.hpp"
#include "ops/tile_rows.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops::kernels {

// of_rows[row][c] of the samples among the rows taken, in two passes over a row, which the cache holds: its
// mean, and the squares around it. Four sums each, so that an addition need not wait for the one before.
struct RowMoments {
  TileRows rows;
  index_t parts;  // of an image
  index_t places;
  index_t channels;
  tensor::ConstMatrix z;
  Moments* of_rows;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t i) const {
    const ImagePart part(i, parts);
    const TileRows::Place at = rows.at(part.row);
    if (!at.is_sample) return;
    const index_t row = at.row;
    using P = Pack<pack_width<Team>>;
    constexpr index_t width = pack_floats<P>;
    constexpr auto lanes = static_cast<std::size_t>(width);
    const RowMoments k = *this;
    const IndexRange packs = part.of((channels + width - 1) / width);
    team.for_each(packs.size(), [=](index_t pack) SY_ALWAYS_INLINE {
      const index_t c = (packs.begin + pack) * width;
      const index_t n = k.channels - c;
      const float* const from = k.z.row(row) + c;
      float lane[lanes], squares[lanes];
      const P zero = P::broadcast(0);
      k.template sum<P>(from, n, zero, false).store(lane);
      const auto count = static_cast<float>(k.places);
      for (index_t l = 0; l < width; ++l) lane[l] /= count;
      const P centre = P::load(lane);
      float rest[lanes];
      k.template sum<P>(from, n, centre, false).store(rest);
      k.template sum<P>(from, n, centre, true).store(squares);
      for (index_t l = 0; l < width && l < n; ++l) {
        // What rounding left between the centre and the mean is taken out of both.
        const double left = static_cast<double>(rest[l]) / static_cast<double>(k.places);
        const double m2 = static_cast<double>(squares[l]) - left * static_cast<double>(rest[l]);
        k.of_rows[row * k.channels + c + l] = {static_cast<double>(k.places),
                                               static_cast<double>(lane[l]) + left, m2 < 0 ? 0 : m2};
      }
    });
  }

 private:
  template <class P>
  SY_ALWAYS_INLINE SY_HD P sum(const float* from, index_t n, P centre, bool squared) const {
    const P zero = P::broadcast(0);
    P part[4] = {zero, zero, zero, zero};
    const auto add = [&](P& to, index_t p) SY_ALWAYS_INLINE {
      const P d = P::load_first(from + p * channels, n) - centre;
      to = squared ? fma(d, d, to) : to + d;
    };
    index_t p = 0;
    for (; p + 4 <= places; p += 4) {
      unrolled<4>([&](auto i) SY_ALWAYS_INLINE { add(part[i], p + i); });
    }
    for (; p < places; ++p) add(part[0], p);
    return (part[0] + part[1]) + (part[2] + part[3]);
  }
};

// Entry (tile, channel).
struct MergeMoments {
  TileView tiles;
  const Moments* of_rows;
  index_t channels;
  Moments* of_tiles;

  SY_HD void operator()(index_t i) const {
    const GridPlace place(i, channels);
    const Tile tile = tiles[place.row];
    const Moments* const first = of_rows + tile.first_row * channels + place.column;
    Moments all;
    for (index_t row = 0; row < tile.samples; ++row) all = merge(all, first[row * channels]);
    of_tiles[i] = all;
  }
};

}  // namespace switchyard::ops::kernels
