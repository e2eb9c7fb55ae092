// Where a Dataset's pixels come from: the interface, and the two sources.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "config/config.hpp"
#include "data/dataset.hpp"
#include "tensor/view.hpp"

namespace switchyard::data::detail {

class SampleSource {
 public:
  virtual ~SampleSource() = default;
  virtual const SampleShape& shape() const = 0;
  virtual index_t class_count() const = 0;
  virtual index_t size(Split split) const = 0;
  // As Dataset::fill, whose checks have passed. `normalised` has an entry per pixel value.
  virtual void fill(Split split, std::span<const index_t> samples, std::span<const float, 256> normalised,
                    tensor::Matrix images, std::span<std::int32_t> labels) const = 0;
};

// The IDX files in config.dir; reads them whole.
std::unique_ptr<const SampleSource> load_idx_source(const config::Data& config);

// Learnable noise. A pixel is the mean of its class at that place (48 or 80, drawn once per class and place)
// plus uniform noise in [0, 127]: two classes differ by 32 at half of the places, against a noise of standard
// deviation 37.
std::unique_ptr<const SampleSource> make_random_source(const config::Data& config, std::uint64_t seed);

}  // namespace switchyard::data::detail
