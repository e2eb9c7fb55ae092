// Kernels of ops/depthwise.hpp, against Team (device/team.hpp): a pack holds neighbouring channels of one
// place.
#pragma once

#include "base/host_device.hpp"
#include "ops/kernels/channels.hpp"
#include "ops/kernels/conv_weights.hpp"
#include "ops/kernels/im2col.hpp"
#include "ops/kernels/image_part.hpp"
#include "ops/kernels/pack.hpp"

namespace switchyard::ops::kernels {

// Sizes, and how an image is cut: into bands of rows, each of which a thread takes for a pack of channels.
struct DepthwiseGeometry : ColumnGeometry {
  static constexpr int side = 3;
  static constexpr int taps = side * side;

  DepthwiseGeometry(const Conv2dShape& s, index_t bands_in) : ColumnGeometry(s), bands(bands_in) {}

  index_t bands;

  template <class P>
  SY_HD index_t packs() const {
    return packs_of<P>(channels);
  }
  SY_HD IndexRange band(index_t i, index_t rows) const { return {rows * i / bands, rows * (i + 1) / bands}; }
  SY_HD index_t in_place(index_t y, index_t x, index_t c) const { return (y * width + x) * channels + c; }
  SY_HD index_t out_place(index_t y, index_t x, index_t c) const { return (y * out_width + x) * channels + c; }
  // Those of channels c and following, [channels][taps].
  template <class P>
  SY_ALWAYS_INLINE SY_HD void load_weights(const float* weight, index_t c, P (&to)[taps]) const {
    for (int tap = 0; tap < taps; ++tap)
      to[tap] = load_channels<P>(weight + c * taps + tap, taps, channels - c);
  }
};

// Calls kernel.rows_of<P>(image, rows, c) for the bands of part i of an image's `height` rows, and in each for
// every pack of channels.
template <class Team, class Kernel>
SY_HD inline void for_each_band(const Team& team, const Kernel& of_image, index_t i, index_t height) {
  using P = Pack<pack_width<Team>>;
  const ImagePart part(i, of_image.parts);
  const index_t packs = of_image.g.template packs<P>();
  const IndexRange items = part.of(of_image.g.bands * packs);
  team.for_each(items.size(), [=](index_t item) SY_ALWAYS_INLINE {
    const Kernel kernel = of_image;  // a copy stays in registers: no store can change it
    const GridPlace place(items.begin + item, packs);
    kernel.template rows_of<P>(part.row, kernel.g.band(place.row, height), place.column * pack_floats<P>);
  });
}

// "Row" is an image, or a part of one.
struct DepthwiseForward {
  DepthwiseGeometry g;
  index_t parts;
  const float* x;
  const float* weight;
  const float* bias;  // null: none
  float* y;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t i) const {
    for_each_band(team, *this, i, g.out_height);
  }
  template <class P>
  SY_ALWAYS_INLINE SY_HD void rows_of(index_t image, IndexRange rows, index_t c) const {
    const index_t n = g.channels - c;
    P w[DepthwiseGeometry::taps];
    g.load_weights(weight, c, w);
    const P first = bias == nullptr ? P::broadcast(0) : P::load_first(bias + c, n);
    const float* const from = x + image * g.height * g.width * g.channels;
    float* const to = y + image * g.places() * g.channels;
    for (index_t row = rows.begin; row < rows.end; ++row) {
      for (index_t column = 0; column < g.out_width; ++column) {
        const index_t top = row * g.stride_height - 1, left = column * g.stride_width - 1;
        P sum = first;
        unrolled<DepthwiseGeometry::taps>([&](auto tap) SY_ALWAYS_INLINE {
          const index_t at_y = top + tap / DepthwiseGeometry::side, at_x = left + tap % DepthwiseGeometry::side;
          if (at_y < 0 || at_y >= g.height || at_x < 0 || at_x >= g.width) return;
          sum = fma(w[tap], P::load_first(from + g.in_place(at_y, at_x, c), n), sum);
        });
        sum.store_first(to + g.out_place(row, column, c), n);
      }
    }
  }
};

// The mirror: a pixel's gradient is the sum over the results that it is part of.
struct DepthwiseBackwardData {
  DepthwiseGeometry g;
  index_t parts;
  const float* d_y;
  const float* weight;
  float* d_x;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t i) const {
    for_each_band(team, *this, i, g.height);
  }
  // The result that meets a pixel with tap `tap` of its kernel, along one side; -1: none.
  SY_ALWAYS_INLINE SY_HD static index_t met(index_t pixel, index_t tap, index_t stride, index_t results) {
    const index_t from = pixel + 1 - tap;
    if (from < 0) return -1;
    const auto result =
        static_cast<index_t>(static_cast<std::uint32_t>(from) / static_cast<std::uint32_t>(stride));
    return result * stride == from && result < results ? result : -1;
  }
  template <class P>
  SY_ALWAYS_INLINE SY_HD void rows_of(index_t image, IndexRange rows, index_t c) const {
    const index_t n = g.channels - c;
    P w[DepthwiseGeometry::taps];
    g.load_weights(weight, c, w);
    const float* const from = d_y + image * g.places() * g.channels;
    float* const to = d_x + image * g.height * g.width * g.channels;
    for (index_t row = rows.begin; row < rows.end; ++row) {
      for (index_t column = 0; column < g.width; ++column) {
        P sum = P::broadcast(0);
        unrolled<DepthwiseGeometry::taps>([&](auto tap) SY_ALWAYS_INLINE {
          const index_t at_y = met(row, tap / DepthwiseGeometry::side, g.stride_height, g.out_height);
          const index_t at_x = met(column, tap % DepthwiseGeometry::side, g.stride_width, g.out_width);
          if (at_y < 0 || at_x < 0) return;
          sum = fma(w[tap], P::load_first(from + g.out_place(at_y, at_x, c), n), sum);
        });
        sum.store_first(to + g.in_place(row, column, c), n);
      }
    }
  }
};

// "Row" is a tile and a part of its images, or a tile with all of them, one after the other: the gradient of
// the weights, and of the bias behind it.
struct DepthwiseWeightGradients {
  static constexpr int taps = DepthwiseGeometry::taps;
  static constexpr int sums = taps + 1;  // the last is of the bias

  DepthwiseGeometry g;
  ImageParts parts;
  bool whole_tiles;
  const float* x;
  const float* d_y;
  bool bias;
  float* gradients;  // [tiles, most parts], or [tiles]
  index_t stride;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t at) const {
    using P = Pack<pack_width<Team>>;
    const index_t tile = whole_tiles ? at : at / parts.most;
    const index_t first = whole_tiles ? 0 : at % parts.most;
    const index_t count = parts.count(tile);
    if (!whole_tiles && first >= count) return;
    const index_t end = whole_tiles ? count : first + 1;
    team.for_each(g.packs<P>(), [=, this](index_t pack) SY_ALWAYS_INLINE {
      const DepthwiseWeightGradients k = *this;  // a copy stays in registers: no store can change it
      const index_t c = pack * pack_floats<P>;
      P total[sums];
      unrolled<sums>([&](auto i) SY_ALWAYS_INLINE { total[i] = P::broadcast(0); });
      for (index_t part = first; part < end; ++part) {
        P of_part[sums];
        k.template add_images<P>(k.parts.of_part(tile, part), c, of_part);
        unrolled<sums>([&](auto i)
                           SY_ALWAYS_INLINE { total[i] = part == first ? of_part[i] : total[i] + of_part[i]; });
      }
      k.template store<P>(total, c, k.gradients + at * k.stride);
    });
  }

 private:
  template <class P>
  SY_ALWAYS_INLINE SY_HD void add_images(IndexRange images, index_t c, P (&sum)[sums]) const {
    const index_t n = g.channels - c;
    unrolled<sums>([&](auto i) SY_ALWAYS_INLINE { sum[i] = P::broadcast(0); });
    for (index_t image = images.begin; image < images.end; ++image) {
      const float* const from = x + image * g.height * g.width * g.channels;
      const float* const of_result = d_y + image * g.places() * g.channels;
      for (index_t row = 0; row < g.out_height; ++row) {
        for (index_t column = 0; column < g.out_width; ++column) {
          const P dy = P::load_first(of_result + g.out_place(row, column, c), n);
          const index_t top = row * g.stride_height - 1, left = column * g.stride_width - 1;
          unrolled<taps>([&](auto tap) SY_ALWAYS_INLINE {
            const index_t at_y = top + tap / DepthwiseGeometry::side,
                          at_x = left + tap % DepthwiseGeometry::side;
            if (at_y < 0 || at_y >= g.height || at_x < 0 || at_x >= g.width) return;
            sum[tap] = fma(dy, P::load_first(from + g.in_place(at_y, at_x, c), n), sum[tap]);
          });
          sum[taps] = sum[taps] + dy;
        }
      }
    }
  }
  template <class P>
  SY_ALWAYS_INLINE SY_HD void store(const P (&sum)[sums], index_t c, float* to) const {
    const index_t n = g.channels - c;
    unrolled<sums>([&](auto i) SY_ALWAYS_INLINE {
      if (i == taps && !bias) return;
      if (i == taps) {
        store_channels(sum[i], to + g.channels * taps + c, 1, n);
      } else {
        store_channels(sum[i], to + c * taps + i, taps, n);
      }
    });
  }
};

}  // namespace switchyard::ops::kernels
