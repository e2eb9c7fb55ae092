// Augmentation of small images: flipped or not, then moved by a few pixels.
#pragma once

#include <cstdint>

#include "base/ids.hpp"
#include "data/dataset.hpp"
#include "tensor/sample_shape.hpp"

namespace switchyard::data::detail {

// The image is flipped left to right, padded by 4 on each side with its reflection (the edge itself is not
// repeated), and as much as it was is cut out of that at (top, left): PyTorch's RandomHorizontalFlip and
// RandomCrop(32, padding=4, padding_mode="reflect").
struct FlipCrop {
  static constexpr index_t padding = 4;

  bool flipped = false;
  index_t top = padding;  // 0 to 2 * padding; at `padding` the image stays in place
  index_t left = padding;
};

// Each of the 2 x 81 with the same probability, as a function of (seed, epoch, sample).
FlipCrop draw_flip_crop(const Visit& visit, index_t sample);

// Bytes of shape.features() pixels from `image` to `result`, which do not overlap. Contract: height and width
// above `padding`, width at most 256.
void flip_crop(const FlipCrop& drawn, const tensor::SampleShape& shape, const std::uint8_t* image,
               std::uint8_t* result);

}  // namespace switchyard::data::detail
