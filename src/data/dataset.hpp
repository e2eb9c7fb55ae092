// The samples of a run: three splits of images with labels, handed out as normalised rows.
//
// data: data sets, the order of samples, batches. No communication: every rank holds the whole data set as
// bytes.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "base/ids.hpp"
#include "config/config.hpp"
#include "tensor/view.hpp"

namespace switchyard::data {

namespace detail {
class SampleSource;
}

enum class Split { train, validation, test };

struct SampleShape {
  index_t channels = 1;
  index_t height = 1;
  index_t width = 1;

  constexpr index_t features() const { return channels * height * width; }
  constexpr bool operator==(const SampleShape&) const = default;
};

// How a pixel becomes a number: (value / 255 - mean) / standard_deviation.
struct Normalisation {
  double mean = 0;
  double standard_deviation = 1;
};

// Immutable after construction: any number of threads may fill from it at once.
class Dataset {
 public:
  Dataset(std::unique_ptr<const detail::SampleSource> source, Normalisation normalisation);
  Dataset(Dataset&&) noexcept;
  Dataset& operator=(Dataset&&) noexcept;
  ~Dataset();

  const SampleShape& shape() const;
  // Labels lie in [0, class_count).
  index_t class_count() const;
  index_t size(Split split) const;

  // Row i of `images` becomes sample samples[i] of the split, its pixels (channel, then height, then width)
  // normalised in double and rounded once, and labels[i] its label. Samples may repeat. Allocates nothing.
  // Contract: images is samples.size() x features, labels.size() == samples.size(), every sample in [0,
  // size(split)).
  void fill(Split split, std::span<const index_t> samples, tensor::Matrix images,
            std::span<std::int32_t> labels) const;

 private:
  std::unique_ptr<const detail::SampleSource> source_;
  std::array<float, 256> normalised_;  // by pixel value
};

// Loads the data set that [data] describes.
//
// source = idx: train-{images-idx3,labels-idx1}-ubyte and t10k-... in data.dir, plain or .gz. The validation
// split is `validation_samples` of the training files' samples, chosen by a permutation that depends on nothing
// but their number: runs with different seeds, and resumed runs, share it. Both splits keep the files' order.
// source = random: learnable noise, made on the fly as a pure function of (seed, split, sample).
//
// Blocking and local; on many ranks each rank calls it, and a failure is one rank's until the caller agrees on
// it. Throws DataError for a file that is missing, damaged or at odds with another, ConfigError for a
// validation split that leaves no training sample.
Dataset load_dataset(const config::Data& config, std::uint64_t seed);

}  // namespace switchyard::data
