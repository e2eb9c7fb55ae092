// Where a Dataset's samples come from: the interface, and the sources.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/hash.hpp"
#include "config/config.hpp"
#include "data/dataset.hpp"
#include "tensor/view.hpp"

namespace switchyard::data::detail {

// What a source is asked for; Dataset's checks have passed.
struct Request {
  Split split;
  std::span<const index_t> samples;
  std::span<const PixelTable> normalised;  // one per channel
  std::optional<Visit> visit;
};

class SampleSource {
 public:
  virtual ~SampleSource() = default;
  virtual const tensor::SampleShape& shape() const = 0;
  virtual index_t class_count() const = 0;
  virtual index_t size(Split split) const = 0;
  // Kinds of samples besides classes, for analysis: 0 if the data say none.
  virtual index_t group_count() const { return 0; }
  // All samples of a split side by side, if the source holds them as floats; else null.
  virtual const float* rows(Split) const { return nullptr; }
  // As Dataset::fill.
  virtual void fill(const Request& request, tensor::Matrix rows) const = 0;
  // All samples and labels, or what they are a function of; not how they are split. The same for the same
  // samples, wherever and however they are stored.
  virtual void add_content(ContentHash& hash) const = 0;
  virtual std::int32_t label(Split split, index_t sample) const = 0;
  virtual std::int32_t group(Split, index_t /*sample*/) const { return 0; }
};

// The IDX files in config.dir; reads them whole.
std::unique_ptr<const SampleSource> load_idx_source(const config::Data& config);

// The binary files of CIFAR-10 or CIFAR-100 in config.dir; reads them whole.
std::unique_ptr<const SampleSource> load_cifar_source(const config::Data& config);

// Learnable noise. A pixel is the mean of its class at that place (48 or 80, drawn once per class and place)
// plus uniform noise in [0, 127]: two classes differ by 32 at half of the places, against a noise of standard
// deviation 37.
std::unique_ptr<const SampleSource> make_random_source(const config::Data& config, std::uint64_t seed);

// Definition 3.1 of Chen et al. 2022 with uniform draws: a pure function of (seed, split, sample), held as
// floats. A row is P patches of d numbers; groups are clusters; classes are y = -1 and y = +1. No validation
// samples.
std::unique_ptr<const SampleSource> make_cluster_source(const config::Data& config, std::uint64_t seed);

}  // namespace switchyard::data::detail
