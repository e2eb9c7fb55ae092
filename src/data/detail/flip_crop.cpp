#include "data/detail/flip_crop.hpp"

#include <array>

#include "base/contract.hpp"
#include "base/philox.hpp"

namespace switchyard::data::detail {
namespace {

// The place in [0, size) whose pixel stands at `place` of the image continued by reflection.
index_t reflect(index_t place, index_t size) {
  if (place < 0) return -place;
  return place < size ? place : 2 * (size - 1) - place;
}

// 0 to n - 1, with probabilities that differ by at most 2^-32.
index_t below(index_t n, std::uint32_t word) {
  return static_cast<index_t>(static_cast<std::uint64_t>(n) * word >> 32);
}

}  // namespace

FlipCrop draw_flip_crop(const Visit& visit, index_t sample) {
  const Philox random = Philox::at(visit.seed, RandomUse::augmentation, static_cast<std::uint64_t>(sample),
                                   static_cast<std::uint32_t>(visit.epoch));
  constexpr index_t places = 2 * FlipCrop::padding + 1;
  return {.flipped = random.word[0] >> 31 != 0,
          .top = below(places, random.word[1]),
          .left = below(places, random.word[2])};
}

void flip_crop(const FlipCrop& drawn, const tensor::SampleShape& shape, const std::uint8_t* image,
               std::uint8_t* result) {
  constexpr index_t most_columns = 256;
  SY_EXPECTS(shape.height > FlipCrop::padding && shape.width > FlipCrop::padding && shape.width <= most_columns,
             "an image of {} x {} pixels", shape.height, shape.width);
  std::array<std::uint8_t, most_columns> columns;  // where a pixel of the result comes from
  for (index_t x = 0; x < shape.width; ++x) {
    const index_t from = reflect(x + drawn.left - FlipCrop::padding, shape.width);
    columns[as_size(x)] = static_cast<std::uint8_t>(drawn.flipped ? shape.width - 1 - from : from);
  }
  for (index_t channel = 0; channel < shape.channels; ++channel) {
    for (index_t y = 0; y < shape.height; ++y) {
      const index_t from = reflect(y + drawn.top - FlipCrop::padding, shape.height);
      const std::uint8_t* const row = image + (channel * shape.height + from) * shape.width;
      for (index_t x = 0; x < shape.width; ++x) *result++ = row[columns[as_size(x)]];
    }
  }
}

}  // namespace switchyard::data::detail
