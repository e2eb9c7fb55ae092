// Neighbouring channels of one place of an image, a pack at a time.
#pragma once

#include "ops/kernels/pack.hpp"
#include "ops/norm_pool.hpp"

namespace switchyard::ops::kernels {

// How far neighbours lie apart in an image.
struct ImageStrides {
  ImageStrides(ImageSizes sizes, ImageOrder order)
      : place(order == ImageOrder::channels_last ? sizes.channels : 1),
        channel(order == ImageOrder::channels_last ? 1 : sizes.places) {}

  index_t place, channel;
};

template <class P>
SY_HD inline index_t packs_of(index_t channels) {
  return (channels + pack_floats<P> - 1) / pack_floats<P>;
}

// A pack of `n` (or fewer) results of neighbouring channels, which lie `stride` apart.
template <class P>
SY_ALWAYS_INLINE SY_HD inline void store_channels(P values, float* to, index_t stride, index_t n) {
  if (stride == 1) return values.store_first(to, n);
  float lane[pack_floats<P>];
  values.store(lane);
  for (index_t l = 0; l < pack_floats<P> && l < n; ++l) to[l * stride] = lane[l];
}
template <class P>
SY_ALWAYS_INLINE SY_HD inline P load_channels(const float* from, index_t stride, index_t n) {
  if (stride == 1) return P::load_first(from, n);
  float lane[pack_floats<P>] = {};
  for (index_t l = 0; l < pack_floats<P> && l < n; ++l) lane[l] = from[l * stride];
  return P::load(lane);
}

}  // namespace switchyard::ops::kernels
