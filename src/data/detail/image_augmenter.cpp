#include "data/detail/image_augmenter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "base/philox.hpp"
#include "data/detail/image_map.hpp"

namespace switchyard::data::detail {
namespace {

using Kind = AugmentStep::Kind;

Philox draw(const Visit& visit, RandomUse use, index_t sample) {
  return Philox::at(visit.seed, use, static_cast<std::uint64_t>(sample),
                    static_cast<std::uint32_t>(visit.epoch));
}

// Of flip the first word; of crop the second and the third, of which each of the 2 * padding + 1 places comes
// with the same probability (to 2^-32).
bool draw_flip(const Visit& visit, index_t sample) {
  return draw(visit, RandomUse::augmentation, sample).word[0] >> 31 != 0;
}
struct Place {
  index_t top, left;  // at `padding` the image stays in place
};
Place draw_place(const AugmentStep& step, const Visit& visit, index_t sample) {
  const Philox random = draw(visit, RandomUse::augmentation, sample);
  const auto place = [&](int word) {
    const auto places = static_cast<std::uint64_t>(2 * step.padding + 1);
    return static_cast<index_t>(places * random.word[word] >> 32);
  };
  return {.top = place(1), .left = place(2)};
}
double draw_sigma(const AugmentStep& step, const Visit& visit, index_t sample) {
  return step.least_sigma +
         (step.most_sigma - step.least_sigma) * draw(visit, RandomUse::blur_augmentation, sample).uniform64();
}
double draw_degrees(const AugmentStep& step, const Visit& visit, index_t sample) {
  return step.degrees * (2 * draw(visit, RandomUse::turn_augmentation, sample).uniform64() - 1);
}

// The place in [0, size) whose pixel stands at `place` of the image continued by reflection, the edge itself
// not repeated.
index_t reflect(index_t place, index_t size) {
  if (place < 0) return -place;
  return place < size ? place : 2 * (size - 1) - place;
}

// After them, the pixel at i is that which was at i + by.
void shift(index_t by, Vector<index_t>& places, Vector<index_t>& spare) {
  const auto size = std::ssize(places);
  spare.resize(size);
  for (index_t i = 0; i < size; ++i) spare[i] = places[reflect(i + by, size)];
  places.swap(spare);
}

void stay(AugmentScratch& scratch, const tensor::SampleShape& shape) {
  scratch.rows.resize(shape.height);
  scratch.columns.resize(shape.width);
  std::iota(scratch.rows.begin(), scratch.rows.end(), index_t{0});
  std::iota(scratch.columns.begin(), scratch.columns.end(), index_t{0});
}

// A flip as PyTorch's RandomHorizontalFlip, a crop as RandomCrop(size, padding, padding_mode="reflect").
void move(const AugmentStep& step, const Visit& visit, index_t sample, AugmentScratch& scratch) {
  if (step.kind == Kind::flip) {
    if (draw_flip(visit, sample)) std::ranges::reverse(scratch.columns);
    return;
  }
  const Place place = draw_place(step, visit, sample);
  shift(place.top - step.padding, scratch.rows, scratch.places);
  shift(place.left - step.padding, scratch.columns, scratch.places);
}

// Pixels of `from` at the places of the scratch's rows and columns.
template <class From, class To>
void gather(const From* from, const tensor::SampleShape& shape, const AugmentScratch& scratch, To* to) {
  for (index_t channel = 0; channel < shape.channels; ++channel) {
    for (const index_t y : scratch.rows) {
      const From* const row = from + (channel * shape.height + y) * shape.width;
      for (const index_t x : scratch.columns) *to++ = static_cast<To>(row[x]);
    }
  }
}

bool moves(Kind kind) { return kind == Kind::flip || kind == Kind::crop; }

// exp(-x^2 / (2 sigma^2)) at -reach ... reach, which add up to 1.
void gaussian(double sigma, Span<double> weights) {
  const index_t reach = std::ssize(weights) / 2;
  double sum = 0;
  for (index_t i = 0; i < std::ssize(weights); ++i) {
    const auto x = static_cast<double>(i - reach);
    weights[i] = std::exp(-x * x / (2 * sigma * sigma));
    sum += weights[i];
  }
  for (double& weight : weights) weight /= sum;
}

// out[x] += weight * from[x]
void add(double weight, const double* from, index_t count, double* out) {
  for (index_t x = 0; x < count; ++x) out[x] += weight * from[x];
}

}  // namespace

ImageAugmenter::ImageAugmenter(std::vector<AugmentStep> steps, const tensor::SampleShape& shape)
    : steps_(std::move(steps)), shape_(shape) {
  for (const AugmentStep& step : steps_) {
    const bool is_crop = step.kind == Kind::crop;
    const index_t down = is_crop ? step.padding : step.height / 2,
                  aside = is_crop ? step.padding : step.width / 2;
    if (down < shape.height && aside < shape.width) continue;
    throw ConfigError(fmt::format(
        "data.augment: {} reaches {} x {} pixels beyond the images, which are {} x {} (their reflection has less than "
        "a side); write a smaller one",
        step.word, down, aside, shape.height, shape.width));
  }
}

bool ImageAugmenter::only_moves() const {
  return std::ranges::all_of(steps_, [](const AugmentStep& step) { return moves(step.kind); });
}

const std::uint8_t* ImageAugmenter::moved(const Visit& visit, index_t sample, const std::uint8_t* pixels,
                                          AugmentScratch& scratch) const {
  SY_EXPECTS(only_moves(), "a step makes other numbers");
  stay(scratch, shape_);
  for (const AugmentStep& step : steps_) move(step, visit, sample, scratch);
  scratch.moved.resize(shape_.features());
  gather(pixels, shape_, scratch, scratch.moved.data());
  return scratch.moved.data();
}

const double* ImageAugmenter::changed(const Visit& visit, index_t sample, const std::uint8_t* pixels,
                                      AugmentScratch& scratch) const {
  scratch.image.resize(shape_.features());
  scratch.other.resize(shape_.features());
  stay(scratch, shape_);
  bool are_bytes = true, are_moved = false;
  // Moves that stand one behind the other are made at once.
  const auto make_moves = [&] {
    if (are_bytes) {
      gather(pixels, shape_, scratch, scratch.image.data());
    } else if (are_moved) {
      gather(scratch.image.data(), shape_, scratch, scratch.other.data());
      scratch.image.swap(scratch.other);
    }
    if (are_moved) stay(scratch, shape_);
    are_bytes = are_moved = false;
  };
  for (const AugmentStep& step : steps_) {
    if (moves(step.kind)) {
      move(step, visit, sample, scratch);
      are_moved = true;
      continue;
    }
    make_moves();
    if (step.kind == Kind::blur) {
      blur(step, draw_sigma(step, visit, sample), scratch);
    } else {
      turn(draw_degrees(step, visit, sample), scratch);
    }
  }
  make_moves();
  return scratch.image.data();
}

// Along rows, then along columns: a Gaussian of two dimensions is the product of two. Each sum is in the order
// of places.
void ImageAugmenter::blur(const AugmentStep& step, double sigma, AugmentScratch& scratch) const {
  const index_t width = shape_.width, height = shape_.height, aside = step.width / 2, down = step.height / 2;
  std::array<double, 255> room;  // the largest kernel that is read
  const Span<double> along = Span(room).first(step.width);
  gaussian(sigma, along);
  scratch.line.resize(width + 2 * aside);
  std::ranges::fill(scratch.other, 0.0);
  for (index_t row = 0; row < shape_.channels * height; ++row) {
    const double* const from = scratch.image.data() + row * width;
    for (index_t x = 0; x < std::ssize(scratch.line); ++x) scratch.line[x] = from[reflect(x - aside, width)];
    for (index_t i = 0; i < step.width; ++i)
      add(along[i], scratch.line.data() + i, width, scratch.other.data() + row * width);
  }
  const Span<double> across = Span(room).first(step.height);
  gaussian(sigma, across);
  std::ranges::fill(scratch.image, 0.0);
  for (index_t channel = 0; channel < shape_.channels; ++channel) {
    const double* const plane = scratch.other.data() + channel * height * width;
    for (index_t y = 0; y < height; ++y) {
      double* const out = scratch.image.data() + (channel * height + y) * width;
      for (index_t i = 0; i < step.height; ++i)
        add(across[i], plane + reflect(y + i - down, height) * width, width, out);
    }
  }
}

void ImageAugmenter::turn(double degrees, AugmentScratch& scratch) const {
  const index_t plane = shape_.height * shape_.width;
  const Turn turn(degrees, {shape_.height, shape_.width});
  for (index_t pixel = 0; pixel < plane; ++pixel) {
    const Turn::Sources sources = turn.sources(pixel / shape_.width, pixel % shape_.width);
    for (index_t at = 0; at < shape_.features(); at += plane) {
      double sum = 0;
      for (int i = 0; i < sources.count; ++i)
        sum += sources.share[as_size(i)] * scratch.image[at + sources.pixel[as_size(i)]];
      scratch.other[at + pixel] = sum;
    }
  }
  scratch.image.swap(scratch.other);
}

}  // namespace switchyard::data::detail
