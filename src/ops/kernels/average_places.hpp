// The mean of each channel of an image, and its gradient.
#pragma once

#include "ops/kernels/channels.hpp"

namespace switchyard::ops::kernels {

struct AveragePlaces {
  tensor::ConstMatrix x;
  ImageSizes sizes;
  ImageStrides strides;
  tensor::Matrix y;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    using P = Pack<pack_width<Team>>;
    const AveragePlaces k = *this;
    team.for_each(packs_of<P>(sizes.channels), [=](index_t pack) SY_ALWAYS_INLINE {
      const index_t c = pack * pack_floats<P>, n = k.sizes.channels - c;
      const float* const from = k.x.row(row) + c * k.strides.channel;
      P sum = P::broadcast(0);
      for (index_t p = 0; p < k.sizes.places; ++p)
        sum = sum + load_channels<P>(from + p * k.strides.place, k.strides.channel, n);
      const P mean = sum * P::broadcast(1.0F / static_cast<float>(k.sizes.places));
      mean.store_first(k.y.row(row) + c, n);
    });
  }
};

struct AveragePlacesBackward {
  tensor::ConstMatrix d_y;
  ImageSizes sizes;
  ImageStrides strides;
  tensor::Matrix d_x;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    using P = Pack<pack_width<Team>>;
    const AveragePlacesBackward k = *this;
    team.for_each(packs_of<P>(sizes.channels), [=](index_t pack) SY_ALWAYS_INLINE {
      const index_t c = pack * pack_floats<P>, n = k.sizes.channels - c;
      const P share =
          P::load_first(k.d_y.row(row) + c, n) * P::broadcast(1.0F / static_cast<float>(k.sizes.places));
      float* const to = k.d_x.row(row) + c * k.strides.channel;
      for (index_t p = 0; p < k.sizes.places; ++p)
        store_channels(share, to + p * k.strides.place, k.strides.channel, n);
    });
  }
};

}  // namespace switchyard::ops::kernels
