// What data.augment does to an image of the training split on a visit.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.hpp"
#include "base/span.hpp"
#include "data/dataset.hpp"
#include "data/detail/image_steps.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::data::detail {

// A thread's memory for it, which grows to what an image takes and stays so.
struct AugmentScratch {
  Vector<std::uint8_t> pixels, moved;
  Vector<double> image, other, line;
  Vector<index_t> rows, columns, places;  // where the pixels of a row or a column come from
};

// Steps are done in their order; what each draws is a function of (seed, epoch, sample) and of its kind, so
// other steps change nothing in it. Immutable: any number of threads may use it at once, each with memory of
// its own.
class ImageAugmenter {
 public:
  // ConfigError for a step that does not fit images of that shape.
  ImageAugmenter(std::vector<AugmentStep> steps, const tensor::SampleShape& shape);

  // Whether pixels only change their places, so that they stay bytes: flips and crops.
  bool only_moves() const;
  // The image as it is on that visit, channel, then height, then width; in `scratch`, until it is used again.
  // Contract: only_moves().
  const std::uint8_t* moved(const Visit& visit, index_t sample, const std::uint8_t* pixels,
                            AugmentScratch& scratch) const;
  // ... as numbers from 0 to 255 that are not rounded.
  const double* changed(const Visit& visit, index_t sample, const std::uint8_t* pixels,
                        AugmentScratch& scratch) const;

 private:
  void blur(const AugmentStep& step, double sigma, AugmentScratch& scratch) const;
  void turn(double degrees, AugmentScratch& scratch) const;

  std::vector<AugmentStep> steps_;
  tensor::SampleShape shape_;
};

}  // namespace switchyard::data::detail
