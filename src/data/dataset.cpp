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
    case config::DataSource::clusters:
      return detail::make_cluster_source(config, seed);
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

const tensor::SampleShape& Dataset::shape() const { return source_->shape(); }
index_t Dataset::class_count() const { return source_->class_count(); }
index_t Dataset::size(Split split) const { return source_->size(split); }
index_t Dataset::group_count() const { return source_->group_count(); }
const float* Dataset::rows(Split split) const { return source_->rows(split); }

void Dataset::expect_samples(Split split, std::span<const index_t> samples) const {
  const index_t available = size(split);
  for (const index_t sample : samples)
    SY_EXPECTS(sample >= 0 && sample < available, "sample {} of a split of {}", sample, available);
}

void Dataset::fill(Split split, std::span<const index_t> samples, tensor::Matrix images) const {
  const auto count = static_cast<index_t>(samples.size());
  SY_EXPECTS(images.rows == count && images.cols == shape().features(),
             "{} samples of {} features into {} x {} values", count, shape().features(), images.rows,
             images.cols);
  expect_samples(split, samples);
  source_->fill(split, samples, normalised_, images);
}

void Dataset::fill_labels(Split split, std::span<const index_t> samples, std::span<std::int32_t> labels) const {
  SY_EXPECTS(labels.size() == samples.size(), "{} samples into {} labels", samples.size(), labels.size());
  expect_samples(split, samples);
  for (std::size_t i = 0; i < samples.size(); ++i) labels[i] = source_->label(split, samples[i]);
}

void Dataset::fill_groups(Split split, std::span<const index_t> samples, std::span<std::int32_t> groups) const {
  SY_EXPECTS(groups.size() == samples.size(), "{} samples into {} groups", samples.size(), groups.size());
  expect_samples(split, samples);
  for (std::size_t i = 0; i < samples.size(); ++i) groups[i] = source_->group(split, samples[i]);
}

Dataset load_dataset(const config::Data& config, std::uint64_t seed) {
  const std::uint64_t own_seed = config.seed != 0 ? config.seed : seed;
  return Dataset(make_source(config, own_seed), {config.mean, config.standard_deviation});
}

}  // namespace switchyard::data
