#include "data/dataset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "data/detail/source.hpp"
#include "data/options.hpp"

namespace switchyard::data {
namespace {

// One number stands for all channels; of a table, there may also be one for each number of a sample.
std::vector<double> per_channel(std::string_view key, const std::vector<double>& values,
                                const detail::SampleSource& source) {
  const tensor::SampleShape& shape = source.shape();
  const index_t channels = shape.channels;
  const auto given = std::ssize(values);
  if (given == 1) return std::vector<double>(as_size(channels), values.front());
  if (given != channels && !(source.scales_features() && given == shape.features()))
    throw ConfigError(
        fmt::format("{} has {} numbers but the samples have {} {}; give one number{}{}", key, given, channels,
                    channels == 1 ? "channel" : "channels",
                    channels == 1 ? "" : fmt::format(" for all channels, or {}", channels),
                    source.scales_features()
                        ? fmt::format(", or one for each of the {} numbers of a sample", shape.features())
                        : ""));
  return values;
}

// Each of them count / size times.
std::vector<double> repeated(const std::vector<double>& values, std::size_t count) {
  std::vector<double> all;
  for (const double value : values) all.insert(all.end(), count / values.size(), value);
  return all;
}

PixelTable table_of(double mean, double standard_deviation) {
  SY_EXPECTS(standard_deviation > 0, "data.standard_deviation = {}", standard_deviation);
  PixelTable table;
  for (std::size_t value = 0; value < table.size(); ++value)
    table[value] = static_cast<float>((static_cast<double>(value) / 255.0 - mean) / standard_deviation);
  return table;
}

}  // namespace

Dataset::Dataset(std::unique_ptr<const detail::SampleSource> source, const Normalisation& normalisation)
    : source_(std::move(source)) {
  SY_EXPECTS(source_ != nullptr, "a data set without a source");
  target_count_ = source_->target_count();
  const Normalisation* const learned = source_->learned_normalisation();
  scale_by(learned != nullptr ? *learned : normalisation);
  ContentHash hash;
  source_->add_content(hash);
  identity_ = {source_->held(Split::train), source_->held(Split::validation), source_->held(Split::test),
               hash.hex()};
}

void Dataset::scale_by(Normalisation normalisation) {
  const auto count = std::ssize(normalisation.mean);
  SY_EXPECTS(count == shape().channels || (source_->scales_features() && count == shape().features()),
             "{} means for {} channels", count, shape().channels);
  SY_EXPECTS(std::ssize(normalisation.standard_deviation) == count, "{} means and {} standard deviations",
             count, normalisation.standard_deviation.size());
  normalised_.clear();
  if (has_pixels() && count == shape().channels) {
    for (std::size_t c = 0; c < normalisation.mean.size(); ++c)
      normalised_.push_back(table_of(normalisation.mean[c], normalisation.standard_deviation[c]));
  }
  normalisation_ = std::move(normalisation);
}

const Normalisation* Dataset::target_scales() const { return target_scales_ ? &*target_scales_ : nullptr; }

void Dataset::scale_targets_by(Normalisation scales) {
  SY_EXPECTS(
      std::ssize(scales.mean) == target_count() && scales.mean.size() == scales.standard_deviation.size(),
      "{} means for {} targets", scales.mean.size(), target_count());
  target_scales_ = std::move(scales);
}

Dataset::Dataset(Dataset&&) noexcept = default;
Dataset& Dataset::operator=(Dataset&&) noexcept = default;
Dataset::~Dataset() = default;

const tensor::SampleShape& Dataset::shape() const { return source_->shape(); }
index_t Dataset::class_count() const { return source_->class_count(); }
index_t Dataset::target_count() const { return target_count_; }
void Dataset::assume_targets(index_t count) {
  SY_EXPECTS(source_->target_count() == 0 && class_count() == 0, "data with labels of their own");
  target_count_ = count;
}
index_t Dataset::size(Split split) const { return source_->size(split); }
index_t Dataset::group_count() const { return source_->group_count(); }
std::vector<std::string> Dataset::group_names() const { return source_->group_names(); }
index_t Dataset::window() const { return source_->window(); }
std::string_view Dataset::token_name() const { return source_->token_name(); }
std::string_view Dataset::vocabulary_model() const { return source_->vocabulary_model(); }
double Dataset::bytes_per_token(Split split) const { return source_->bytes_per_token(split); }
std::string_view Dataset::counted() const {
  if (window() == 0) return "samples";
  return token_name() == "byte" ? "bytes" : "tokens";
}
const Normalisation* Dataset::learned_normalisation() const { return source_->learned_normalisation(); }
bool Dataset::has_pixels() const { return source_->has_pixels(); }
std::vector<std::string> Dataset::class_names() const { return source_->class_names(); }
std::vector<std::string> Dataset::feature_names() const { return source_->feature_names(); }
bool Dataset::scales_features() const { return source_->scales_features(); }
bool Dataset::has_labels(Split split) const { return source_->has_labels(split); }
std::int64_t Dataset::id(Split split, index_t sample) const { return source_->id(split, sample); }
double Dataset::target(Split split, index_t sample, index_t target) const {
  return source_->target(split, sample, target);
}
bool Dataset::has_flat_targets() const { return source_->has_flat_targets(); }
bool Dataset::has_weights(Split split) const { return source_->has_weights(split); }
bool Dataset::has_ids(Split split) const { return source_->has_ids(split); }
index_t Dataset::file_samples(Split split) const { return source_->file_samples(split); }
std::vector<std::string> Dataset::remarks() const { return source_->remarks(); }
index_t Dataset::held_bytes() const { return source_->held_bytes(); }
const float* Dataset::rows(Split split) const { return source_->rows(split); }
bool Dataset::is_augmented(Split split) const { return split == Split::train && source_->augments(); }

std::string Dataset::ids_digest() const {
  ContentHash hash;
  source_->add_ids(hash);
  return hash.hex();
}

void Dataset::expect_samples(Split split, Span<const index_t> samples) const {
  const index_t available = size(split);
  for (const index_t sample : samples)
    SY_EXPECTS(sample >= 0 && sample < available, "sample {} of a split of {}", sample, available);
}

void Dataset::fill(Split split, Span<const index_t> samples, tensor::Matrix images,
                   const std::optional<Visit>& visit) const {
  const auto count = std::ssize(samples);
  SY_EXPECTS(images.rows == count && images.cols == shape().features(),
             "{} samples of {} features into {} x {} values", count, shape().features(), images.rows,
             images.cols);
  expect_samples(split, samples);
  SY_EXPECTS(!visit || split == Split::train, "a visit to split {}", static_cast<int>(split));
  source_->fill({split, samples, normalised_, &normalisation_, visit}, images);
}

std::int32_t Dataset::end_of_document() const { return source_->end_of_document(); }

void Dataset::fill_labels(Split split, Span<const index_t> samples, Span<std::int32_t> labels) const {
  SY_EXPECTS(labels.size() == samples.size(), "{} samples into {} labels", samples.size(), labels.size());
  expect_samples(split, samples);
  for (std::size_t i = 0; i < samples.size(); ++i) labels[i] = source_->label(split, samples[i]);
}

void Dataset::fill_groups(Split split, Span<const index_t> samples, Span<std::int32_t> groups) const {
  SY_EXPECTS(groups.size() == samples.size(), "{} samples into {} groups", samples.size(), groups.size());
  expect_samples(split, samples);
  for (std::size_t i = 0; i < samples.size(); ++i) groups[i] = source_->group(split, samples[i]);
}

void Dataset::fill_targets(Split split, Span<const index_t> samples, tensor::Matrix targets) const {
  const auto count = std::ssize(samples);
  SY_EXPECTS(targets.rows == count && targets.cols == target_count(), "{} samples of {} targets into {} x {}",
             count, target_count(), targets.rows, targets.cols);
  expect_samples(split, samples);
  for (index_t i = 0; i < count; ++i) {
    for (index_t t = 0; t < targets.cols; ++t)
      targets(i, t) = static_cast<float>(scaled_target(split, samples[i], t));
  }
}

double Dataset::scaled_target(Split split, index_t sample, index_t target) const {
  const double value = source_->target(split, sample, target);
  if (!target_scales_) return value;
  return (value - target_scales_->mean[as_size(target)]) / target_scales_->standard_deviation[as_size(target)];
}

Vector<double> Dataset::target_variances(Split split) const {
  Vector<double> variances(target_count());
  const auto count = static_cast<double>(size(split));
  for (index_t t = 0; t < target_count(); ++t) {
    double sum = 0, squares = 0;
    for (index_t n = 0; n < size(split); ++n) sum += scaled_target(split, n, t);
    for (index_t n = 0; n < size(split); ++n) {
      const double difference = scaled_target(split, n, t) - sum / count;
      squares += difference * difference;
    }
    variances[t] = count > 0 ? squares / count : 0;
  }
  return variances;
}

void Dataset::fill_weights(Span<const index_t> samples, Span<float> weights) const {
  SY_EXPECTS(weights.size() == samples.size(), "{} samples into {} weights", samples.size(), weights.size());
  expect_samples(Split::train, samples);
  for (std::size_t i = 0; i < samples.size(); ++i)
    weights[i] = static_cast<float>(source_->weight(Split::train, samples[i]) / source_->weight_unit());
}

void Dataset::fill_tokens(Split split, Span<const index_t> samples, Span<std::int32_t> tokens,
                          Span<std::int32_t> targets) const {
  const index_t count = std::ssize(samples) * window();
  SY_EXPECTS(window() > 0 && std::ssize(tokens) == count && std::ssize(targets) == count,
             "{} samples of {} tokens into {} tokens and {} targets", samples.size(), window(), tokens.size(),
             targets.size());
  expect_samples(split, samples);
  source_->fill_tokens(split, samples, tokens, targets);
}

std::string describe(const Identity& identity) {
  return fmt::format("{} training, {} validation and {} test samples with the digest {}",
                     identity.training_samples, identity.validation_samples, identity.test_samples,
                     identity.digest);
}

namespace {

// Mean and standard deviation of the training samples' targets.
Normalisation scales_of_targets(const Dataset& dataset) {
  Normalisation scales;
  const Vector<double> variances = dataset.target_variances(Split::train);
  const index_t size = dataset.size(Split::train);
  for (index_t t = 0; t < dataset.target_count(); ++t) {
    double sum = 0;
    for (index_t n = 0; n < size; ++n) sum += dataset.target(Split::train, n, t);
    scales.mean.push_back(sum / static_cast<double>(size));
    scales.standard_deviation.push_back(variances[t] > 0 ? std::sqrt(variances[t]) : 1);
  }
  return scales;
}

}  // namespace

Dataset load_dataset(const Options& options, std::uint64_t seed, const Reading& reading) {
  auto source = detail::make_source(options, options.seed != 0 ? options.seed : seed, reading);
  Normalisation normalisation{per_channel("data.mean", options.mean, *source),
                              per_channel("data.standard_deviation", options.standard_deviation, *source)};
  // Where one key has a number for each channel and the other one for each number of a sample.
  const std::size_t count = std::max(normalisation.mean.size(), normalisation.standard_deviation.size());
  for (std::vector<double>* values : {&normalisation.mean, &normalisation.standard_deviation})
    *values = repeated(*values, count);
  Dataset dataset(std::move(source), normalisation);
  if (options.scale_targets && dataset.target_count() > 0 && dataset.size(Split::train) > 0)
    dataset.scale_targets_by(scales_of_targets(dataset));
  return dataset;
}

}  // namespace switchyard::data
