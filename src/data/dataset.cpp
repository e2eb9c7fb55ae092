#include "data/dataset.hpp"

#include <fmt/format.h>

#include <algorithm>

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

Dataset::Dataset(std::unique_ptr<const detail::SampleSource> source, Normalisation normalisation)
    : source_(std::move(source)) {
  SY_EXPECTS(source_ != nullptr, "a data set without a source");
  const Normalisation* const learned = source_->learned_normalisation();
  scale_by(learned != nullptr ? *learned : std::move(normalisation));
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

Dataset::Dataset(Dataset&&) noexcept = default;
Dataset& Dataset::operator=(Dataset&&) noexcept = default;
Dataset::~Dataset() = default;

const tensor::SampleShape& Dataset::shape() const { return source_->shape(); }
index_t Dataset::class_count() const { return source_->class_count(); }
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
std::vector<std::string> Dataset::feature_names() const { return source_->feature_names(); }
bool Dataset::scales_features() const { return source_->scales_features(); }
bool Dataset::has_labels(Split split) const { return source_->has_labels(split); }
std::int64_t Dataset::id(Split split, index_t sample) const { return source_->id(split, sample); }
bool Dataset::has_ids(Split split) const { return source_->has_ids(split); }
index_t Dataset::file_samples(Split split) const { return source_->file_samples(split); }
std::vector<std::string> Dataset::remarks() const { return source_->remarks(); }
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

Dataset load_dataset(const Options& options, std::uint64_t seed, const Reading& reading) {
  auto source = detail::make_source(options, options.seed != 0 ? options.seed : seed, reading);
  Normalisation normalisation{per_channel("data.mean", options.mean, *source),
                              per_channel("data.standard_deviation", options.standard_deviation, *source)};
  // Where one key has a number for each channel and the other one for each number of a sample.
  const std::size_t count = std::max(normalisation.mean.size(), normalisation.standard_deviation.size());
  for (std::vector<double>* values : {&normalisation.mean, &normalisation.standard_deviation})
    *values = repeated(*values, count);
  return Dataset(std::move(source), std::move(normalisation));
}

}  // namespace switchyard::data
