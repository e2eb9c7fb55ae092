#include "run/start_warnings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <numeric>

#include "base/span.hpp"
#include "console/terminal.hpp"
#include "data/batches.hpp"
#include "ops/matmul.hpp"
#include "run/config.hpp"

namespace switchyard::run {
namespace {

using Warnings = std::vector<std::string>;

// "1 of 4 ranks has", "2 of 4 ranks have".
std::string some_of_ranks(int some, int ranks, std::string_view has, std::string_view have) {
  return fmt::format("{} of {} ranks {}", some, ranks, some == 1 ? has : have);
}

void warn_of_idle_ranks(const train::Options& train, index_t samples, const moe::Placement& placement,
                        Warnings& warnings) {
  const int ranks = placement.rank_count();
  const index_t batch = std::min(train.batch_size, samples);
  const SharedParts shards{batch, train.shards, ranks};
  int without_samples = 0;
  int without_experts = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    without_samples += shards.range_of(rank).empty() ? 1 : 0;
    without_experts += placement.hosted_by(GroupRank(rank)).empty() ? 1 : 0;
  }
  if (without_samples > 0) {
    warnings.push_back(fmt::format(
        "{} no samples in a step ({} samples in train.shards = {} parts); start fewer ranks, or raise {}",
        some_of_ranks(without_samples, ranks, "has", "have"), batch, train.shards,
        train.shards < ranks ? "train.shards" : "train.batch_size"));
  }
  if (without_experts > 0) {
    warnings.push_back(fmt::format("{} no expert (moe.experts = {}); start fewer ranks, or raise moe.experts",
                                   some_of_ranks(without_experts, ranks, "hosts", "host"),
                                   placement.expert_count()));
  }
}

void warn_of_warm_up(const Config& config, index_t samples, Warnings& warnings) {
  const index_t steps = data::Batching{samples, config.train.batch_size}.steps(config.train.epochs);
  if (config.optim.warmup_steps < steps || config.optim.warmup_steps == 0) return;
  warnings.push_back(fmt::format(
      "the learning rate still rises when training ends (optim.warmup_steps = {} of {} steps); lower it",
      config.optim.warmup_steps, steps));
}

// How often each class occurs in the training split; where all occur, some samples may not be counted.
std::vector<index_t> class_counts(const data::Dataset& dataset) {
  constexpr index_t most = 4096;  // labels at a time
  Vector<index_t> counts(dataset.class_count());
  index_t unseen = dataset.class_count();
  const index_t size = dataset.size(data::Split::train);
  Vector<index_t> samples;
  std::vector<std::int32_t> labels;
  for (index_t first = 0; first < size && unseen > 0; first += most) {
    samples.resize(std::min(most, size - first));
    std::iota(samples.begin(), samples.end(), first);
    labels.resize(samples.size());
    dataset.fill_labels(data::Split::train, samples, labels);
    for (const std::int32_t label : labels) unseen -= counts[label]++ == 0 ? 1 : 0;
  }
  return counts;
}

void warn_of_classes(const data::Dataset& dataset, Warnings& warnings) {
  if (dataset.window() > 0 || dataset.target_count() > 0) return;  // samples have no classes
  const std::vector<index_t> counts = class_counts(dataset);
  std::vector<std::size_t> missing;
  for (std::size_t c = 0; c < counts.size(); ++c) {
    if (counts[c] == 0) missing.push_back(c);
  }
  constexpr std::size_t listed = 10;
  if (2 * missing.size() > counts.size() && missing.size() > listed) {
    warnings.push_back(fmt::format(
        "most classes have no training sample ({} of {}, and the model has an output for each: labels go up to {}); "
        "number the labels from 0 without gaps",
        console::grouped(std::ssize(missing)), console::grouped(std::ssize(counts)),
        console::grouped(std::ssize(counts) - 1)));
  } else if (const std::vector<std::string> names = dataset.class_names(); !missing.empty() && !names.empty()) {
    std::vector<std::string> named;
    for (const std::size_t c : missing) {
      if (c < names.size() && named.size() < listed) named.push_back(names[c]);
    }
    const bool one = missing.size() == 1;
    warnings.push_back(fmt::format(
        "{} {}{} {} no training sample (the model has an output for each class); add some, or take {} out of "
        "the other splits",
        one ? "the class" : "the classes", fmt::join(named, ", "),
        missing.size() > listed ? fmt::format(" and {} more", missing.size() - listed) : "",
        one ? "has" : "have", one ? "it" : "them"));
  } else if (!missing.empty()) {
    const Span<const std::size_t> some = Span(missing).first(std::min(listed, missing.size()));
    warnings.push_back(
        fmt::format("{} {}{} {} no training sample (of classes 0 to {}); number the labels from 0 without gaps",
                    missing.size() == 1 ? "class" : "classes", fmt::join(some, ", "),
                    missing.size() > listed ? fmt::format(" and {} more", missing.size() - listed) : "",
                    missing.size() == 1 ? "has" : "have", counts.size() - 1));
  }
  if (missing.size() + 1 == counts.size()) {
    const auto only = std::ranges::find_if(counts, [](index_t count) { return count > 0; });
    warnings.push_back(
        fmt::format("all training samples are of class {} (there is nothing to tell apart); look at the labels",
                    only - counts.begin()));
  }
}

struct Spread {
  double mean = 0;
  double deviation = 0;
};

// As the model learns them: far from 0 and 1 the first steps are too small or too large.
void warn_of_targets(const data::Dataset& dataset, Warnings& warnings) {
  const Vector<double> variances = dataset.target_variances(data::Split::train);
  for (std::size_t t = 0; t < variances.size(); ++t) {
    const double deviation = std::sqrt(variances[t]);
    const std::string which = variances.size() == 1 ? "the labels" : fmt::format("numbers {} of the labels", t);
    if (deviation == 0) {
      warnings.push_back(fmt::format("{} are all the same (there is nothing to learn); look at them", which));
    } else if (dataset.target_scales() == nullptr && (deviation < 0.1 || deviation > 10)) {
      warnings.push_back(
          fmt::format("{} have a standard deviation of {:.3g} (a model learns numbers about 1 best); "
                      "try data.scale_targets = yes",
                      which, deviation));
      return;
    }
  }
}

// Of each channel's numbers, as the model sees them, over at most 1,000 training samples of the whole split.
std::vector<Spread> channel_spreads(const data::Dataset& dataset) {
  const tensor::SampleShape shape = dataset.shape();
  const index_t size = dataset.size(data::Split::train);
  const index_t count = std::min<index_t>(size, 1000);
  const index_t plane = shape.height * shape.width;
  Vector<float> row(shape.features());
  Vector<double> sums(shape.channels);
  Vector<double> squares(sums.size());
  for (index_t i = 0; i < count; ++i) {
    const std::array sample{i * size / count};
    dataset.fill(data::Split::train, sample, {row.data(), 1, shape.features()});
    for (index_t f = 0; f < shape.features(); ++f) {
      const double value = row[f];
      sums[f / plane] += value;
      squares[f / plane] += value * value;
    }
  }
  const auto numbers = static_cast<double>(count * plane);
  std::vector<Spread> spreads;
  for (std::size_t c = 0; c < sums.size(); ++c) {
    const double mean = sums[c] / numbers;
    spreads.push_back({mean, std::sqrt(std::max(0.0, squares[c] / numbers - mean * mean))});
  }
  return spreads;
}

double of_channel(const std::vector<double>& values, std::size_t channel) {
  return values.size() == 1 ? values.front() : values[channel];
}

// Pixels as value/255 deviate by 0.2 to 0.35 in photographs and drawings; divided by half of their range, as
// many do, by 0.4 at least.
bool is_normalised(const Spread& spread) {
  return std::abs(spread.mean) <= 1 && spread.deviation >= 0.4 && spread.deviation <= 2.5;
}

// Most programs but ours have the channels behind.
void warn_of_channels(const data::Options& options, const data::Dataset& dataset, Warnings& warnings) {
  const tensor::SampleShape& shape = dataset.shape();
  if (!data::reads_tables(options) || shape.channels <= 4 || shape.width > 4) return;
  warnings.push_back(fmt::format(
      "samples of {} channels of {} x {} (channels come before height and width); if the last dimension is that of "
      "channels, write numpy.moveaxis(x, -1, 1)",
      shape.channels, shape.height, shape.width));
}

void warn_of_pixels(const data::Options& options, const data::Dataset& dataset, Warnings& warnings) {
  if (!data::reads_images(options) && !data::reads_tables(options)) return;
  if (dataset.learned_normalisation() != nullptr) return;
  const data::Options plain;
  const bool set = options.mean != plain.mean || options.standard_deviation != plain.standard_deviation;
  const std::vector<Spread> spreads = channel_spreads(dataset);
  if (set && std::ranges::all_of(spreads, is_normalised)) return;
  if (!dataset.has_pixels()) {
    if (!std::ranges::all_of(spreads, is_normalised))
      warnings.emplace_back(
          "the numbers of the samples are not normalised (some have means far from 0, or deviations far from 1); try "
          "data.normalise = feature");
    return;
  }
  std::vector<std::string> means, deviations, raw_means, raw_deviations;
  for (std::size_t c = 0; c < spreads.size(); ++c) {
    const double scale = of_channel(options.standard_deviation, c);
    means.push_back(fmt::format("{:.3g}", spreads[c].mean));
    deviations.push_back(fmt::format("{:.3g}", spreads[c].deviation));
    raw_means.push_back(fmt::format("{:.4g}", spreads[c].mean * scale + of_channel(options.mean, c)));
    raw_deviations.push_back(
        fmt::format("{:.4g}", spreads[c].deviation > 0 ? spreads[c].deviation * scale : 1));
  }
  warnings.push_back(fmt::format(
      "the pixels are not normalised (their mean is {}, their standard deviation {}); try data.mean = {} and "
      "data.standard_deviation = {}",
      fmt::join(means, " "), fmt::join(deviations, " "), fmt::join(raw_means, " "),
      fmt::join(raw_deviations, " ")));
}

// On a processor.
void warn_of_precision(nn::Precision precision, Warnings& warnings) {
  if (precision == nn::Precision::bf16 && !ops::has_bfloat16_products()) {
    warnings.emplace_back(
        "train.precision = bf16 on a processor without products of bf16 (they are widened to float32, which takes longer "
        "than float32 does); use float32");
  }
  if (precision == nn::Precision::tf32) {
    warnings.emplace_back(
        "train.precision = tf32 on a processor (which has float32 products only); use float32, or a GPU");
  }
}

}  // namespace

std::vector<std::string> start_warnings(const Config& config, const data::Dataset& dataset,
                                        const moe::Placement& placement, device::DeviceKind device) {
  Warnings warnings;
  const index_t samples = dataset.size(data::Split::train);
  warn_of_idle_ranks(config.train, samples, placement, warnings);
  warn_of_warm_up(config, samples, warnings);
  if (config.train.batch_size > samples) {
    warnings.push_back(
        fmt::format("train.batch_size = {} exceeds the {} training samples (a step is an epoch); lower it",
                    config.train.batch_size, console::grouped(samples)));
  }
  if (config.train.parts > std::min(config.train.batch_size, samples)) {
    warnings.push_back(fmt::format("train.parts = {} exceeds the samples of a batch (each is a part); lower it",
                                   config.train.parts));
  }
  if (dataset.window() > 0 && dataset.size(data::Split::validation) == 0) {
    warnings.push_back(
        "no document of the text is for validation (no epoch is evaluated, no checkpoint is the best); add text");
  }
  if (device == device::DeviceKind::cpu) warn_of_precision(config.train.precision, warnings);
  std::ranges::move(dataset.remarks(), std::back_inserter(warnings));
  warn_of_classes(dataset, warnings);
  warn_of_targets(dataset, warnings);
  warn_of_channels(config.data, dataset, warnings);
  warn_of_pixels(config.data, dataset, warnings);
  return warnings;
}

}  // namespace switchyard::run
