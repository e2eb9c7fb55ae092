// An image in a team's scratch, its even and odd columns apart.
//
// A 2x2 pooling window at (Y, X) needs the 4x4 patch of the image whose corner is (2Y, 2X). With E[X] =
// image[2X] and O[X] = image[2X + 1] of one image row, the patch's columns are E[X], O[X], E[X + 1], O[X + 1]:
// unit-stride loads for neighbouring windows. The four convolution outputs of a window then stay in registers
// until they are pooled.
#pragma once

#include <cstdint>

#include "ops/fused_conv.hpp"
#include "ops/kernels/pack.hpp"

namespace switchyard::ops::kernels {

// The sizes of a FusedConvShape as the kernels need them, computed once on the host.
struct ConvGeometry {
  explicit ConvGeometry(const FusedConvShape& s)
      : in_channels(s.in_channels),
        out_channels(s.out_channels),
        height(s.height + 2 * s.padding),
        width(s.width + 2 * s.padding),
        padding(s.padding),
        conv_height(s.conv_height()),
        conv_width(s.conv_width()),
        pooled_height(s.pooled_height()),
        pooled_width(s.pooled_width()),
        half_stride(((width + 1) / 2 + pack_lanes - 1) / pack_lanes * pack_lanes) {}

  index_t in_channels, out_channels;
  index_t height, width;  // with the padding
  index_t padding;
  index_t conv_height, conv_width;
  index_t pooled_height, pooled_width;
  index_t half_stride;  // floats of E or O of one image row: ceil(width / 2), rounded up to whole packs

  SY_HD index_t patch_size() const { return 9 * in_channels; }
  SY_HD index_t weight_count() const { return out_channels * patch_size(); }
  SY_HD index_t patch_sums_count() const { return 2 + patch_size() * (1 + patch_size()); }
  // E of an image row begins here, O half_stride later.
  SY_HD index_t row_offset(index_t channel, index_t y) const {
    return (channel * height + y) * 2 * half_stride;
  }
  // A pack that begins at E[X + 1] or O[X + 1] may end one float after the last row.
  SY_HD index_t split_floats() const { return in_channels * height * 2 * half_stride + pack_lanes; }
};

// The floats behind the last row, which a pack may read.
template <class Team>
SY_HD inline void clear_end(const Team& team, const ConvGeometry& g, float* split) {
  constexpr int width = pack_width<Team>;
  float* const end = split + g.split_floats() - pack_lanes;
  team.for_each(pack_lanes / width, [&](index_t p) { Pack<width>::broadcast(0).store(end + p * width); });
}

// split_columns with a border of zeros: column 2X is pixel 2X - 1 of the image, column 2X + 1 pixel 2X.
template <class Team>
SY_HD inline void split_padded_columns(const Team& team, const ConvGeometry& g, const float* image, float pivot,
                                       float* split) {
  constexpr int width = pack_width<Team>;
  using P = Pack<width>;
  const index_t image_height = g.height - 2;
  const index_t image_width = g.width - 2;
  const index_t pixels = g.in_channels * image_height * image_width;
  const P shift = P::broadcast(pivot);
  const P border = P::broadcast(0) - shift;
  team.for_each(g.in_channels * g.height, [&](index_t row) SY_ALWAYS_INLINE {
    const GridPlace place(row, g.height);  // channel and row of the padded image
    float* const even = split + row * 2 * g.half_stride;
    float* const odd = even + g.half_stride;
    if (place.column == 0 || place.column == g.height - 1) {
      for (index_t x = 0; x < 2 * g.half_stride; x += width) border.store(even + x);
      return;
    }
    const index_t first = (place.row * image_height + place.column - 1) * image_width;
    for (index_t x = 0; x < g.half_stride; x += width) {
      P at_even, at_odd;
      P::load_pairs_first(image + first + 2 * x, pixels - first - 2 * x, at_even, at_odd);
      (at_odd - shift).store_first(even + x + 1, g.half_stride - x - 1);
      (at_even - shift).store(odd + x);
    }
    even[0] = -pivot;
    ((g.width - 1) % 2 == 0 ? even : odd)[(g.width - 1) / 2] = -pivot;
  });
  clear_end(team, g, split);
}

// Fills `split` (ConvGeometry::split_floats) from an image; `pivot` is subtracted from every pixel. The places
// after the last column hold the pixels that follow in memory, or -pivot after the last: results must not
// depend on them. The caller puts a sync before the first read.
template <class Team>
SY_HD inline void split_columns(const Team& team, const ConvGeometry& geometry, const float* image, float pivot,
                                float* split) {
  constexpr int width = pack_width<Team>;
  using P = Pack<width>;
  const ConvGeometry g = geometry;  // a local copy, which stores through pointers cannot change
  const index_t packs = g.half_stride / width;
  const P shift = P::broadcast(pivot);
  if (g.padding == 1) return split_padded_columns(team, g, image, pivot, split);
  const index_t pixels = g.in_channels * g.height * g.width;
  team.for_each(g.in_channels * g.height, [&](index_t row) SY_ALWAYS_INLINE {
    const float* const from = image + row * g.width;
    const index_t left = pixels - row * g.width;
    float* const to = split + row * 2 * g.half_stride;
    for (index_t x = 0; x < packs * width; x += width) {
      P even, odd;
      P::load_pairs_first(from + 2 * x, left - 2 * x, even, odd);
      (even - shift).store(to + x);
      (odd - shift).store(to + g.half_stride + x);
    }
  });
  clear_end(team, g, split);
}

// Columns 0 to 3 of the patches whose first column is 2x, of the image row whose E begins at `split_row`.
template <class P>
SY_ALWAYS_INLINE SY_HD inline void load_columns(const float* split_row, index_t half_stride, index_t x,
                                                P (&column)[4]) {
  column[0] = P::load(split_row + x);
  column[1] = P::load(split_row + half_stride + x);
  column[2] = P::load(split_row + x + 1);
  column[3] = P::load(split_row + half_stride + x + 1);
}

// split_columns of an image of a batch. The next one is asked for meanwhile, since images may lie anywhere.
template <class Team>
SY_HD inline void split_image(const Team& team, const ConvGeometry& geometry, const tensor::RowSource& images,
                              index_t row, float pivot, float* split) {
  if (row + 1 < images.rows) prefetch_row(images.row(row + 1), images.cols);
  split_columns(team, geometry, images.row(row), pivot, split);
}

}  // namespace switchyard::ops::kernels
