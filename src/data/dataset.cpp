#include "data/dataset.hpp"

#include "base/contract.hpp"
#include "data/detail/sample_source.hpp"

namespace switchyard::data {
namespace {

std::unique_ptr<const detail::SampleSource> make_source(const config::Data& config, std::uint64_t seed) {
  switch (config.source) {
    case config::DataSource::idx:
      return detail::load_idx_source(config);
    case config::DataSource::random:
      return detail::make_random_source(config, seed);
  }
  SY_EXPECTS(false, "data.source {}", static_cast<int>(config.source));
  return nullptr;
}

}  // namespace

Dataset::Dataset(std::unique_ptr<const detail::SampleSource> source, Normalisation normalisation)
    : source_(std::move(source)) {
  SY_EXPECTS(source_ != nullptr, "a data set without a source");
  SY_EXPECTS(normalisation.standard_deviation > 0, "data.standard_deviation = {}",
             normalisation.standard_deviation);
  for (std::size_t value = 0; value < normalised_.size(); ++value)
    normalised_[value] = static_cast<float>((static_cast<double>(value) / 255.0 - normalisation.mean) /
                                            normalisation.standard_deviation);
}

Dataset::Dataset(Dataset&&) noexcept = default;
Dataset& Dataset::operator=(Dataset&&) noexcept = default;
Dataset::~Dataset() = default;

const SampleShape& Dataset::shape() const { return source_->shape(); }
index_t Dataset::class_count() const { return source_->class_count(); }
index_t Dataset::size(Split split) const { return source_->size(split); }

void Dataset::fill(Split split, std::span<const index_t> samples, tensor::Matrix images,
                   std::span<std::int32_t> labels) const {
  const auto count = static_cast<index_t>(samples.size());
  SY_EXPECTS(images.rows == count && images.cols == shape().features() && labels.size() == samples.size(),
             "{} samples of {} features into {} x {} values and {} labels", count, shape().features(),
             images.rows, images.cols, labels.size());
  const index_t available = size(split);
  for (const index_t sample : samples)
    SY_EXPECTS(sample >= 0 && sample < available, "sample {} of a split of {}", sample, available);
  source_->fill(split, samples, normalised_, images, labels);
}

Dataset load_dataset(const config::Data& config, std::uint64_t seed) {
  return Dataset(make_source(config, seed), {config.mean, config.standard_deviation});
}

}  // namespace switchyard::data
