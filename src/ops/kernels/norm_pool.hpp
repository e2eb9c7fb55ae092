// Batch norm, a skip, ReLU and 2x2 max pooling of convolutions whose channels lie side by side: a pack holds
// neighbouring channels of one place.
#pragma once

#include <cstdint>

#include "ops/kernels/channels.hpp"
#include "ops/kernels/image_part.hpp"
#include "ops/kernels/pack.hpp"
#include "ops/norm_pool.hpp"

namespace switchyard::ops::kernels {

// An image from the one order to the other.
struct ReorderImage {
  tensor::RowSource images;
  index_t parts;  // of an image
  ImageSizes sizes;
  ImageOrder to;
  tensor::Matrix out;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t i) const {
    const ImagePart part(i, parts);
    const float* const from = images.row(part.row);
    float* const image = out.row(part.row);
    const bool last = to == ImageOrder::channels_last;
    const IndexRange places = part.of(sizes.places);
    const ReorderImage k = *this;
    team.for_each(places.size(), [=](index_t item) {
      const index_t p = places.begin + item;
      for (index_t c = 0; c < k.sizes.channels; ++c) {
        const index_t first_order = c * k.sizes.places + p;
        const index_t last_order = p * k.sizes.channels + c;
        if (last) {
          image[last_order] = from[first_order];
        } else {
          image[first_order] = from[last_order];
        }
      }
    });
  }
};

// float64 values, rounded.
template <class P>
SY_ALWAYS_INLINE SY_HD inline P load_rounded(const double* from, index_t n) {
  float lane[pack_floats<P>] = {};
  for (index_t l = 0; l < pack_floats<P> && l < n; ++l) lane[l] = static_cast<float>(from[l]);
  return P::load(lane);
}

inline constexpr float largest_of_relu6 = 6;

// The sizes of a NormPoolShape, computed once on the host.
struct NormPoolGeometry {
  explicit NormPoolGeometry(const NormPoolShape& s)
      : height(s.height),
        width(s.width),
        channels(s.channels),
        out_height(s.out_height()),
        out_width(s.out_width()),
        window(s.max_pool ? 2 : 1),
        out({s.channels, s.out_height() * s.out_width()}, s.out_order),
        activation(s.activation) {}

  index_t height, width, channels;
  index_t out_height, out_width;
  index_t window;
  ImageStrides out;
  ImageActivation activation;

  template <class P>
  SY_HD index_t packs() const {
    return packs_of<P>(channels);
  }
  // Of z.
  SY_HD index_t place(index_t y, index_t x, index_t c) const { return (y * width + x) * channels + c; }
  SY_HD index_t out_place(index_t y, index_t x, index_t c) const {
    return (y * out_width + x) * out.place + c * out.channel;
  }
  SY_HD index_t argmax_index(index_t y, index_t x, index_t c) const {
    return (y * out_width + x) * channels + c;
  }
};

// Row r of those taken: out[r] and argmax_place[r] from z[r].
struct NormPoolForward {
  NormPoolGeometry g;
  TileRows rows;
  index_t parts;  // of an image
  tensor::ConstMatrix z;
  Affine norm;
  PooledResult result;
  tensor::ConstMatrix skip;  // no data: none

  template <class Team>
  SY_HD void operator()(const Team& team, index_t i) const {
    using P = Pack<pack_width<Team>>;
    const ImagePart part(i, parts);
    const TileRows::Place at = rows.at(part.row);
    if (!at.exists) return;
    const float* const scale = norm.scale.of(at.set);
    const float* const shift = norm.shift.of(at.set);
    const index_t packs = g.packs<P>();
    const IndexRange items = part.of(g.out_height * packs);
    team.for_each(items.size(), [=, this](index_t item) SY_ALWAYS_INLINE {
      const NormPoolForward k = *this;  // a copy stays in registers: no store can change it
      const GridPlace place(items.begin + item, packs);
      k.template row_of_windows<P>(at.row, place.row, place.column * pack_floats<P>, scale, shift);
    });
  }

 private:
  template <class P>
  SY_ALWAYS_INLINE SY_HD void row_of_windows(index_t row, index_t y, index_t c, const float* scale,
                                             const float* shift) const {
    const index_t n = g.channels - c;
    const bool affine = scale != nullptr;
    const P zero = P::broadcast(0);
    const P six = P::broadcast(largest_of_relu6);
    const P a = affine ? P::load_first(scale + c, n) : zero;
    const P b = affine ? P::load_first(shift + c, n) : zero;
    const float* const in = z.row(row);
    const auto value = [&](index_t py, index_t px) SY_ALWAYS_INLINE {
      const P v = P::load_first(in + g.place(py, px, c), n);
      return affine ? fma(a, v, b) : v;
    };
    for (index_t x = 0; x < g.out_width; ++x) {
      P best;
      if (g.window == 1) {
        best = value(y, x);
        if (skip.data != nullptr) best = best + P::load_first(skip.row(row) + g.place(y, x, c), n);
      } else {
        // The largest of four, the first on ties. A NaN in any place stays one.
        const P top[2] = {value(2 * y, 2 * x), value(2 * y, 2 * x + 1)};
        const P bottom[2] = {value(2 * y + 1, 2 * x), value(2 * y + 1, 2 * x + 1)};
        const auto upper_right = top[1] > top[0];
        const auto lower_right = bottom[1] > bottom[0];
        const P upper = max_or_nan(top[1], top[0]);
        const P lower = max_or_nan(bottom[1], bottom[0]);
        const auto is_lower = lower > upper;
        best = max_or_nan(lower, upper);
        P::store_bits_first(result.argmax_place + row * result.out.cols + g.argmax_index(y, x, c), n,
                            select(is_lower, lower_right, upper_right), is_lower);
      }
      if (g.activation != ImageActivation::none) best = max(zero, best);  // lets a NaN through
      if (g.activation == ImageActivation::relu6) best = select(best > six, six, best);
      store_channels(best, result.out.row(row) + g.out_place(y, x, c), g.out.channel, n);
    }
  }
};

// The gradient at the norm's output, window by window.
struct WindowGradient {
  NormPoolGeometry g;
  PooledGradient pooled;

  // Of channels c and following at window (y, x): the gradient, and where in the window it goes.
  template <class P>
  struct At {
    P dy;
    typename P::Mask is_right, is_lower;
  };
  template <class P>
  SY_ALWAYS_INLINE SY_HD At<P> at(index_t row, index_t y, index_t x, index_t c) const {
    const index_t n = g.channels - c;
    const index_t place = g.out_place(y, x, c);
    const P zero = P::broadcast(0);
    At<P> result;
    result.dy = load_channels<P>(pooled.d_out.row(row) + place, g.out.channel, n);
    if (g.activation != ImageActivation::none) {
      const P value = load_channels<P>(pooled.out.row(row) + place, g.out.channel, n);
      result.dy = select(value > zero, result.dy, zero);
      if (g.activation == ImageActivation::relu6)
        result.dy = select(P::broadcast(largest_of_relu6) > value, result.dy, zero);
    }
    if (g.window == 2) {
      P::load_bits_first(pooled.argmax_place + row * pooled.out.cols + g.argmax_index(y, x, c), n,
                         result.is_right, result.is_lower);
    } else {
      result.is_right = result.is_lower = zero > zero;  // none; NOLINT(misc-redundant-expression)
    }
    return result;
  }
};

// of_rows[row] = sums over the row's windows of dy [channels] and of dy (z - mean) [channels].
struct NormPoolBackwardSums {
  WindowGradient gradient;
  TileRows rows;
  index_t parts;  // of an image
  tensor::ConstMatrix z;
  OfSets<const double> mean;
  double* of_rows;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t i) const {
    using P = Pack<pack_width<Team>>;
    const ImagePart part(i, parts);
    const TileRows::Place at = rows.at(part.row);
    if (!at.is_sample) return;
    const double* const mean_of_set = mean.of(at.set);
    const IndexRange packs = part.of(gradient.g.packs<P>());
    team.for_each(packs.size(), [=, this](index_t pack) SY_ALWAYS_INLINE {
      const NormPoolBackwardSums k = *this;  // a copy stays in registers: no store can change it
      k.template add_channels<P>(at.row, (packs.begin + pack) * pack_floats<P>, mean_of_set);
    });
  }

 private:
  template <class P>
  SY_ALWAYS_INLINE SY_HD void add_channels(index_t row, index_t c, const double* mean_of_set) const {
    const NormPoolGeometry& g = gradient.g;
    const index_t n = g.channels - c;
    const float* const in = z.row(row);
    const P centre = load_rounded<P>(mean_of_set + c, n);
    P sum = P::broadcast(0);
    P product = P::broadcast(0);
    for (index_t y = 0; y < g.out_height; ++y) {
      for (index_t x = 0; x < g.out_width; ++x) {
        const auto w = gradient.at<P>(row, y, x, c);
        const auto value = [&](index_t i, index_t j) SY_ALWAYS_INLINE {
          return P::load_first(in + g.place(g.window * y + i, g.window * x + j, c), n);
        };
        P won = value(0, 0);
        if (g.window == 2) {
          won = select(w.is_lower, select(w.is_right, value(1, 1), value(1, 0)),
                       select(w.is_right, value(0, 1), won));
        }
        sum = sum + w.dy;
        product = fma(w.dy, won - centre, product);
      }
    }
    float sums[pack_floats<P>], products[pack_floats<P>];
    sum.store(sums);
    product.store(products);
    double* const to = of_rows + row * 2 * g.channels + c;
    for (index_t l = 0; l < pack_floats<P> && l < n; ++l) {
      // The mean was rounded above: mean' - mean is put back.
      const double rounded = static_cast<float>(mean_of_set[c + l]) - mean_of_set[c + l];
      to[l] = sums[l];
      to[g.channels + l] = products[l] + rounded * sums[l];
    }
  }
};

// Entry (tile, c or channels + c).
struct AddBackwardSums {
  TileView tiles;
  const double* of_rows;
  index_t channels;
  OfSets<const double> inv_std;
  double* of_tiles;

  SY_HD void operator()(index_t i) const {
    const GridPlace place(i, 2 * channels);
    const Tile tile = tiles[place.row];
    const index_t column = place.column;
    const double* const first = of_rows + tile.first_row * 2 * channels + column;
    double sum = 0;
    for (index_t row = 0; row < tile.samples; ++row) sum += first[row * 2 * channels];
    of_tiles[i] = column < channels ? sum : inv_std.of(tile.set)[column - channels] * sum;
  }
};

// Row r of those taken: the gradient of its skip.
struct SkipRows {
  WindowGradient gradient;
  TileRows rows;
  index_t parts;  // of an image
  SkipGradient how;
  tensor::Matrix to;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t i) const {
    using P = Pack<pack_width<Team>>;
    const ImagePart part(i, parts);
    const TileRows::Place at = rows.at(part.row);
    if (!at.is_sample) return;
    const index_t packs = gradient.g.packs<P>();
    const IndexRange items = part.of(gradient.g.height * packs);
    team.for_each(items.size(), [=, this](index_t item) SY_ALWAYS_INLINE {
      const SkipRows k = *this;  // a copy stays in registers: no store can change it
      const NormPoolGeometry& g = k.gradient.g;
      const GridPlace place(items.begin + item, packs);
      const index_t c = place.column * pack_floats<P>, n = g.channels - c;
      for (index_t x = 0; x < g.width; ++x) {
        P dy = k.gradient.template at<P>(at.row, place.row, x, c).dy;
        float* const d_skip = k.to.row(at.row) + g.place(place.row, x, c);
        if (k.how == SkipGradient::added) dy = P::load_first(d_skip, n) + dy;
        dy.store_first(d_skip, n);
      }
    });
  }
};

// Row r of those taken: z[r] becomes its gradient.
struct NormPoolBackward {
  WindowGradient gradient;
  TileRows rows;
  index_t parts;  // of an image
  NormView norm;  // null: none
  tensor::Matrix z;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t i) const {
    using P = Pack<pack_width<Team>>;
    const ImagePart part(i, parts);
    const TileRows::Place at = rows.at(part.row);
    if (!at.exists) return;
    const NormPoolGeometry& g = gradient.g;
    if (!at.is_sample) {
      const IndexRange values = part.of(z.cols);
      float* const to = z.row(at.row) + values.begin;
      team.for_each(values.size(), [=](index_t v) { to[v] = 0; });
      return;
    }
    const index_t packs = g.packs<P>();
    const index_t window_rows = (g.height + g.window - 1) / g.window;
    const IndexRange items = part.of(window_rows * packs);
    team.for_each(items.size(), [=, this](index_t item) SY_ALWAYS_INLINE {
      const NormPoolBackward k = *this;  // a copy stays in registers: no store can change it
      const GridPlace place(items.begin + item, packs);
      k.template row_of_windows<P>(at, place.row, place.column * pack_floats<P>);
    });
  }

 private:
  // gamma inv_std (dy - mean_dy + (z - mean) slope), slope = -inv_std mean_dy_xhat.
  template <class P>
  struct Affine {
    P centre, slope, mean_dy, factor;
  };
  template <class P>
  SY_ALWAYS_INLINE SY_HD Affine<P> affine(index_t set, index_t c, index_t n) const {
    const float* const gamma = norm.gamma.of(set);
    const double* const inv_std = norm.inv_std.of(set);
    const double* const mean_dy_xhat = norm.mean_dy_xhat.of(set);
    float slope[pack_floats<P>] = {}, factor[pack_floats<P>] = {};
    for (index_t l = 0; l < pack_floats<P> && l < n; ++l) {
      slope[l] = static_cast<float>(-inv_std[c + l] * mean_dy_xhat[c + l]);
      factor[l] = static_cast<float>(gamma[c + l] * inv_std[c + l]);
    }
    return {load_rounded<P>(norm.mean.of(set) + c, n), P::load(slope),
            load_rounded<P>(norm.mean_dy.of(set) + c, n), P::load(factor)};
  }

  template <class P>
  SY_ALWAYS_INLINE SY_HD void row_of_windows(const TileRows::Place& at, index_t y, index_t c) const {
    const NormPoolGeometry& g = gradient.g;
    const index_t row = at.row;
    const index_t n = g.channels - c;
    const P zero = P::broadcast(0);
    const bool normalised = norm.mean.first != nullptr;
    const Affine<P> a = normalised ? affine<P>(at.set, c, n) : Affine<P>{zero, zero, zero, zero};
    float* const values = z.row(row);
    const auto put = [&](index_t py, index_t px, P dy) SY_ALWAYS_INLINE {
      if (py >= g.height || px >= g.width) return;
      float* const to = values + g.place(py, px, c);
      if (normalised) dy = a.factor * fma(P::load_first(to, n) - a.centre, a.slope, dy - a.mean_dy);
      dy.store_first(to, n);
    };
    const index_t windows = (g.width + g.window - 1) / g.window;
    for (index_t x = 0; x < windows; ++x) {
      // An odd last row or column is in no window.
      const bool pooled = y < g.out_height && x < g.out_width;
      const auto none = zero > zero;  // NOLINT(misc-redundant-expression)
      const auto w = pooled ? gradient.at<P>(row, y, x, c) : WindowGradient::At<P>{zero, none, none};
      if (g.window == 1) {
        put(y, x, w.dy);
        continue;
      }
      const P upper = select(w.is_lower, zero, w.dy);
      const P lower = select(w.is_lower, w.dy, zero);
      put(2 * y, 2 * x, select(w.is_right, zero, upper));
      put(2 * y, 2 * x + 1, select(w.is_right, upper, zero));
      put(2 * y + 1, 2 * x, select(w.is_right, zero, lower));
      put(2 * y + 1, 2 * x + 1, select(w.is_right, lower, zero));
    }
  }
};

}  // namespace switchyard::ops::kernels
