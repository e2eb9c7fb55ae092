#include "data/detail/table_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <limits>
#include <utility>

#include "base/error.hpp"
#include "base/span.hpp"
#include "data/cifar.hpp"
#include "data/detail/file_split.hpp"
#include "data/detail/image_augmenter.hpp"
#include "data/detail/pixels.hpp"
#include "data/detail/prepared_images.hpp"
#include "data/detail/table_checks.hpp"

namespace switchyard::data::detail {
namespace {

// Calls use(first number, values) with all numbers of an array, block by block.
template <class Use>
void for_each_block(const NumberArray& array, const Use& use) {
  constexpr index_t most = 65536;
  Vector<float> block(std::min(most, array.rows() * array.row_size()));
  for (index_t at = 0; at < array.rows() * array.row_size(); at += most) {
    const index_t count = std::min(most, array.rows() * array.row_size() - at);
    array.read({at, at + count}, block.data());
    use(at, Span<const float>(block).first(count));
  }
}

// Calls use(bytes) with numbers of an array as they are stored, piece by piece.
template <class Use>
void for_each_piece(const NumberArray& array, IndexRange numbers, const Use& use) {
  const index_t unit = bytes_of(array.type()), most = (index_t{1} << 18) / unit;
  if (const std::uint8_t* const all = array.in_memory(numbers.begin))
    return use(std::as_bytes(Span(all, numbers.size() * unit)));
  Vector<std::byte> piece(std::min(most, numbers.size()) * unit);
  for (index_t at = numbers.begin; at < numbers.end; at += most) {
    const index_t count = std::min(most, numbers.end - at);
    const auto bytes = Span(piece).first(count * unit);
    array.read_bytes({at, at + count}, bytes);
    use(Span<const std::byte>(bytes));
  }
}

template <class T>
void add_to(ContentHash& hash, Span<const T> values) {
  hash.add(std::as_bytes(values));
}

class TableSource final : public SampleSource {
 public:
  TableSource(Tables tables, const Options& options, const Reading& reading)
      : most_classes_(most_classes_of(tables, reading.purpose)),
        own_{checked_table(std::move(tables.train)), checked_table(std::move(tables.validation)),
             checked_table(std::move(tables.test))},
        shape_(shape_of(first().samples)),
        rows_of_one_(tables.rows_of_one),
        split_(split_of(options, reading.purpose)),
        feature_names_(std::move(tables.feature_names)),
        class_names_(std::move(tables.class_names)),
        cluster_names_(std::move(tables.cluster_names)),
        augmenter_(augmenter_of(options, reading.purpose)),
        remarks_(std::move(tables.remarks)) {
    class_count_ = reading.labels == Labels::classes ? tables.least_classes : 0;
    group_count_ = first().clusters.empty() ? 0 : tables.least_clusters;
    for (const Checked* table : all()) {
      expect_like_the_first(*table);
      if (reading.labels == Labels::classes)
        class_count_ = std::max<index_t>(class_count_, 1 + *std::ranges::max_element(table->labels));
      if (!table->clusters.empty())
        group_count_ = std::max<index_t>(group_count_, 1 + *std::ranges::max_element(table->clusters));
    }
    if (!is_of_bytes()) digest_ = scan();
    if (options.normalise != Normalise::given && reading.purpose != Purpose::conversion)
      learn_scales(options.normalise);
    if (size(Split::train) > 0 && has_weights(Split::train) && reading.purpose != Purpose::conversion)
      weight_unit_ = mean_weight();
  }

  const tensor::SampleShape& shape() const override { return shape_; }
  index_t class_count() const override { return class_count_; }
  index_t group_count() const override { return group_count_; }
  std::vector<std::string> group_names() const override { return cluster_names_; }
  index_t size(Split split) const override { return split_.size(split); }

  void fill(const Request& request, tensor::Matrix rows) const override {
    const NumberArray& samples = of(request.split).samples;
    const index_t features = shape_.features();
    const auto first_number = [&](index_t i) {
      return split_.row(request.split, request.samples[i]) * features;
    };
    for (index_t i = 0; i < std::ssize(request.samples); ++i) {
      if (i + 1 < std::ssize(request.samples)) {
        if (const std::uint8_t* const next = samples.in_memory(first_number(i + 1)))
          prefetch(next, features * bytes_of(samples.type()));
      }
      fill_row(request, samples, first_number(i), request.samples[i], rows.row(i));
    }
  }

  bool has_pixels() const override { return first().samples.type() == NumberType::uint8; }
  std::vector<std::string> feature_names() const override { return feature_names_; }
  std::vector<std::string> class_names() const override { return class_names_; }
  const Normalisation* learned_normalisation() const override { return scales_ ? &*scales_ : nullptr; }
  bool scales_features() const override { return true; }

  bool has_ids(Split split) const override { return !of(split).ids.empty(); }
  index_t file_samples(Split split) const override { return of(split).samples.rows(); }
  std::vector<std::string> remarks() const override { return remarks_; }
  void add_ids(ContentHash& hash) const override {
    for (const Checked* table : all()) {
      const std::array<index_t, 1> count = {std::ssize(table->ids)};
      add_to(hash, Span<const index_t>(count));
      add_to(hash, Span<const std::int64_t>(table->ids));
    }
  }
  index_t held_bytes() const override {
    index_t bytes = 0;
    for (const Checked* table : all()) {
      const NumberArray& samples = table->samples;
      if (samples.in_memory(0) != nullptr)
        bytes += samples.rows() * samples.row_size() * bytes_of(samples.type());
    }
    return bytes;
  }
  bool augments() const override { return augmenter_.has_value(); }
  const NumberArray* stored(Split split) const override {
    return own_[as_size(split)] ? &of(split).samples : nullptr;
  }

  void add_content(ContentHash& hash) const override {
    if (is_of_bytes()) return add_bytes(hash);
    add_to(hash, Span<const char>(digest_));
    // Which of them are for what is not in it, but that a table is of one split is.
    for (const Checked* table : all()) {
      add_to(hash, Span<const std::int32_t>(table->labels));
      add_to(hash, Span<const std::int32_t>(table->clusters));
      for (const std::optional<RealArray>* array : {&table->targets, &table->weights}) {
        if (array->has_value()) add_to(hash, Span<const double>((*array)->values));
      }
    }
  }

  std::int32_t label(Split split, index_t sample) const override {
    return of(split).labels[split_.row(split, sample)];
  }
  std::int32_t group(Split split, index_t sample) const override {
    return of(split).clusters[split_.row(split, sample)];
  }
  index_t target_count() const override { return targets_of_first() ? targets_of_first()->columns() : 0; }
  bool has_flat_targets() const override {
    return !targets_of_first() || targets_of_first()->shape.size() == 1;
  }
  double target(Split split, index_t sample, index_t target) const override {
    const std::optional<RealArray>& targets = of(split).targets;
    return targets ? targets->values[as_size(split_.row(split, sample) * targets->columns() + target)] : 0;
  }
  bool has_weights(Split split) const override { return of(split).weights.has_value(); }
  double weight(Split split, index_t sample) const override {
    return of(split).weights->values[as_size(split_.row(split, sample))];
  }
  double weight_unit() const override { return weight_unit_; }
  bool has_labels(Split split) const override { return of(split).has_labels; }
  std::int64_t id(Split split, index_t sample) const override {
    const index_t row = split_.row(split, sample);
    return of(split).ids.empty() ? row : of(split).ids[as_size(row)];
  }

 private:
  struct Checked {
    NumberArray samples;
    bool has_labels;
    Vector<std::int32_t> labels, clusters;
    std::vector<std::int64_t> ids;
    std::optional<RealArray> targets, weights;

    Checked(Table table, index_t most)
        : samples(std::move(table.samples)),
          has_labels(table.labels || table.targets),
          targets(std::move(table.targets)),
          weights(std::move(table.weights)) {
      labels = table.labels ? checked(*table.labels, samples, most) : Vector<std::int32_t>(samples.rows());
      if (targets) expect_fits(*targets, samples);
      if (weights) expect_weights(*weights, samples);
      if (table.clusters) clusters = checked(*table.clusters, samples, most);
      if (table.ids) {
        expect_one_each(*table.ids, samples);
        ids = std::move(table.ids->values);
      }
    }
  };

  std::optional<Checked> checked_table(std::optional<Table> table) const {
    if (!table) return {};
    static_cast<void>(shape_of(table->samples));
    return Checked(*std::move(table), most_classes_);
  }

  FileSplit split_of(const Options& options, Purpose purpose) const {
    const auto& [train, validation, test] = own_;
    const auto rows_of = [](const std::optional<Checked>& table) { return table ? table->samples.rows() : 0; };
    if (!train || purpose == Purpose::conversion)
      return FileSplit({rows_of(train), rows_of(validation), rows_of(test)});
    GivenRows given;
    if (validation) given.validation = rows_of(validation);
    if (test) given.test = rows_of(test);
    const Vector<std::int32_t> classes = classes_of_things(*train);
    if (purpose != Purpose::prediction) return {options, classes, given, train->samples.name(), rows_of_one_};
    // What was taken for splits of the run's own data is nothing to others that bring theirs.
    Options of_these = options;
    if (validation) of_these.validation_samples = config::automatic_count;
    if (test) of_these.test_samples = config::automatic_count;
    return {of_these, classes, given, train->samples.name(), rows_of_one_};
  }

  // Of what rows are made of: the label of a row, or, of several, the cluster that they share.
  Vector<std::int32_t> classes_of_things(const Checked& table) const {
    if (rows_of_one_ == 1) return table.labels;
    Vector<std::int32_t> classes(table.samples.rows() / rows_of_one_);
    if (table.clusters.empty()) return classes;
    for (index_t thing = 0; thing < std::ssize(classes); ++thing)
      classes[thing] = table.clusters[thing * rows_of_one_];
    return classes;
  }

  std::optional<ImageAugmenter> augmenter_of(const Options& options, Purpose purpose) const {
    std::vector<AugmentStep> steps = parse_augment(options.augment);
    if (steps.empty() || purpose != Purpose::training) return {};
    expect_images(first().samples, "data.augment", options.augment);
    return ImageAugmenter(std::move(steps), shape_);
  }

  std::vector<const Checked*> all() const {
    std::vector<const Checked*> tables;
    for (const std::optional<Checked>& table : own_) {
      if (table) tables.push_back(&*table);
    }
    return tables;
  }
  // Of every fill: without memory.
  const Checked& first() const {
    return **std::ranges::find_if(own_, [](const std::optional<Checked>& table) { return table.has_value(); });
  }

  // Of the first table that has them: a prediction may be of data without.
  const std::optional<RealArray>& targets_of_first() const {
    for (const Checked* const table : all()) {
      if (table->targets) return table->targets;
    }
    return first().targets;
  }

  // Where the rows of a split lie.
  const Checked& of(Split split) const {
    const std::optional<Checked>& own = own_[as_size(split)];
    return own ? *own : first();
  }

  void expect_like_the_first(const Checked& table) const {
    const auto words = [](const NumberArray& samples) {
      const bool pixels = samples.type() == NumberType::uint8;
      const tensor::SampleShape shape = shape_of(samples);
      return fmt::format("{} of {} x {} x {}", pixels ? "pixels (uint8)" : "numbers", shape.channels,
                         shape.height, shape.width);
    };
    if (words(table.samples) != words(first().samples))
      throw DataError(fmt::format(
          "{} has samples that are {}, but {} {} (a model takes one kind); write both alike",
          table.samples.name(), words(table.samples), first().samples.name(), words(first().samples)));
    if (table.targets && table.targets->columns() != target_count())
      throw DataError(
          fmt::format("{} has {} numbers a sample, but {} {} (a model learns as many of each); "
                      "write both alike",
                      table.targets->name, table.targets->columns(), targets_of_first()->name, target_count()));
    if (table.clusters.empty() != first().clusters.empty())
      throw DataError(
          fmt::format("{} has clusters but {} has none (each split needs them, or none); add or remove "
                      "them",
                      (table.clusters.empty() ? first() : table).samples.name(),
                      (table.clusters.empty() ? table : first()).samples.name()));
  }

  // Of the training samples.
  double mean_weight() const {
    double sum = 0;
    for (index_t n = 0; n < size(Split::train); ++n) sum += weight(Split::train, n);
    if (!(sum > 0 && std::isfinite(sum)))
      throw DataError(
          fmt::format("{} adds up to {} over the training samples (nothing is learned of weight 0); "
                      "write it anew",
                      first().weights->name, sum));
    return sum / static_cast<double>(size(Split::train));
  }

  // Whether the files of MNIST and CIFAR could hold them: pixels, with labels and clusters of a byte.
  bool is_of_bytes() const {
    const bool have_reals = target_count() > 0 || std::ranges::any_of(all(), [](const Checked* table) {
                              return table->weights.has_value();
                            });
    return has_pixels() && class_count_ <= 256 && group_count_ <= 256 && !have_reals;
  }

  // As those files do: the pixels of a table, then its labels; or, of images of CIFAR's shape, a record for
  // each, of its cluster, its label and its pixels. So the digest is that of the files, wherever the same
  // samples lie.
  void add_bytes(ContentHash& hash) const {
    const bool in_records = shape_ == cifar_shape;
    if (!in_records && shape_.channels > 1) {
      const std::array<index_t, 3> facts = {shape_.channels, shape_.height, shape_.width};
      add_to(hash, Span<const index_t>(facts));
    }
    const auto add_numbers = [&](const Vector<std::int32_t>& numbers, IndexRange rows) {
      if (numbers.empty()) return;
      const auto values = Span<const std::int32_t>(numbers).subspan(rows.begin, rows.size());
      const std::vector<std::uint8_t> bytes(values.begin(), values.end());
      add_to(hash, Span<const std::uint8_t>(bytes));
    };
    for (const Checked* table : all()) {
      const index_t count = table->samples.rows(), each = in_records ? 1 : count;
      for (index_t row = 0; row < count; row += each) {
        const IndexRange rows{row, row + each};
        if (in_records) {
          add_numbers(table->clusters, rows);
          add_numbers(table->labels, rows);
        }
        for_each_piece(table->samples, {row * shape_.features(), (row + each) * shape_.features()},
                       [&](Span<const std::byte> pixels) { hash.add(pixels); });
        if (in_records) continue;
        add_numbers(table->labels, rows);
        add_numbers(table->clusters, rows);
      }
    }
  }

  // Of all numbers as floats, which it finds finite.
  std::string scan() const {
    ContentHash hash;
    const std::array<index_t, 5> facts = {has_pixels() ? 1 : 0, shape_.channels, shape_.height, shape_.width,
                                          std::ssize(all())};
    add_to(hash, Span<const index_t>(facts));
    for (const Checked* table : all()) {
      const std::array<index_t, 1> rows = {table->samples.rows()};
      add_to(hash, Span<const index_t>(rows));
      for_each_block(table->samples, [&](index_t first, Span<const float> values) {
        expect_finite(table->samples, first, values);
        add_to(hash, values);
      });
    }
    return hash.hex();
  }

  void fill_row(const Request& request, const NumberArray& samples, index_t first, index_t sample,
                float* row) const {
    const index_t features = shape_.features();
    std::array<std::uint8_t, 16384> buffer;
    if (augmenter_ && request.visit) {
      fill_augmented(request, samples, first, sample, row);
    } else if (request.normalised.empty()) {
      samples.read({first, first + features}, row);
      normalise(*request.normalisation, row, row);
    } else if (const std::uint8_t* const pixels = samples.in_memory(first)) {
      scale_pixels(request, pixels, {0, features}, row);
    } else {
      for (index_t at = 0; at < features; at += std::ssize(buffer)) {
        const index_t count = std::min<index_t>(std::ssize(buffer), features - at);
        samples.read_bytes({first + at, first + at + count}, std::as_writable_bytes(Span(buffer).first(count)));
        scale_pixels(request, buffer.data(), {at, at + count}, row);
      }
    }
  }

  // Of pixels that are moved about and no more, the result is looked up as that of others is.
  void fill_augmented(const Request& request, const NumberArray& samples, index_t first, index_t sample,
                      float* row) const {
    static thread_local AugmentScratch scratch;
    const index_t features = shape_.features();
    const std::uint8_t* pixels = samples.in_memory(first);
    if (pixels == nullptr) {
      scratch.pixels.resize(features);
      samples.read_bytes({first, first + features}, std::as_writable_bytes(Span(scratch.pixels)));
      pixels = scratch.pixels.data();
    }
    if (augmenter_->only_moves())
      return scale_pixels(request, augmenter_->moved(*request.visit, sample, pixels, scratch), {0, features},
                          row);
    normalise(*request.normalisation, augmenter_->changed(*request.visit, sample, pixels, scratch), row);
  }

  // row[f] of the features f, from their pixels.
  void scale_pixels(const Request& request, const std::uint8_t* pixels, IndexRange features, float* row) const {
    if (request.normalised.empty()) {
      std::copy_n(pixels, features.size(), row + features.begin);
      return normalise(*request.normalisation, row, row);
    }
    const index_t plane = shape_.height * shape_.width;
    for (index_t at = features.begin; at < features.end;) {
      const index_t channel = at / plane;
      const index_t count = std::min(features.end, (channel + 1) * plane) - at;
      look_up(pixels + (at - features.begin), count, request.normalised[channel], row + at);
      at += count;
    }
  }

  // y = (x - mean) / standard deviation in double, rounded once. `numbers` may be `row`.
  template <class Number>
  void normalise(const Normalisation& scales, const Number* numbers, float* row) const {
    const double unit = has_pixels() ? 255 : 1;
    const auto count = std::ssize(scales.mean);
    const index_t each = shape_.features() / count;
    for (index_t i = 0; i < count; ++i) {
      const double mean = scales.mean[as_size(i)], deviation = scales.standard_deviation[as_size(i)];
      if (std::same_as<Number, float> && mean == 0 && deviation == 1 && unit == 1) continue;
      for (index_t f = i * each; f < (i + 1) * each; ++f)
        row[f] = static_cast<float>((static_cast<double>(numbers[f]) / unit - mean) / deviation);
    }
  }

  // Mean and standard deviation of the training samples, of each channel or feature. Two passes, since the
  // difference of large sums has no digits left where numbers are far from 0.
  void learn_scales(Normalise kind) {
    const index_t features = shape_.features();
    const index_t count = kind == Normalise::channel ? shape_.channels : features;
    const index_t each = features / count;
    const double unit = has_pixels() ? 255 : 1;
    const auto numbers = static_cast<double>(each * size(Split::train));
    Vector<float> row(features);
    const auto mean_of = [&](const auto& term) {
      Vector<double> sums(count);
      for (index_t n = 0; n < size(Split::train); ++n) {
        const index_t from = split_.row(Split::train, n) * features;
        of(Split::train).samples.read({from, from + features}, row.data());
        for (index_t f = 0; f < features; ++f)
          sums[f / each] += term(static_cast<double>(row[f]) / unit, f / each);
      }
      for (double& sum : sums) sum /= numbers;
      return sums;
    };
    Vector<double> least(count, std::numeric_limits<double>::infinity()), most(count, -least.front());
    const Vector<double> mean = mean_of([&](double x, index_t i) {
      least[i] = std::min(least[i], x);
      most[i] = std::max(most[i], x);
      return x;
    });
    Vector<double> deviation = mean_of([&](double x, index_t i) { return (x - mean[i]) * (x - mean[i]); });
    // What never changes says nothing, and becomes 0 but for rounding.
    for (index_t i = 0; i < count; ++i) deviation[i] = least[i] < most[i] ? std::sqrt(deviation[i]) : 1;
    scales_ = Normalisation{{mean.begin(), mean.end()}, {deviation.begin(), deviation.end()}};
  }

  index_t most_classes_;
  std::array<std::optional<Checked>, 3> own_;  // by Split
  tensor::SampleShape shape_;
  index_t rows_of_one_;  // neighbours that are in one split
  FileSplit split_;
  std::vector<std::string> feature_names_, class_names_, cluster_names_;
  std::optional<ImageAugmenter> augmenter_;
  std::vector<std::string> remarks_;
  index_t class_count_ = 0;
  index_t group_count_ = 0;
  std::string digest_;
  std::optional<Normalisation> scales_;  // of the training samples
  double weight_unit_ = 1;
};

}  // namespace

std::unique_ptr<const SampleSource> make_table_source(Tables tables, const Options& options,
                                                      const Reading& reading) {
  if (reading.purpose != Purpose::conversion && are_prepared(options))
    tables = prepared(std::move(tables), options, reading);
  return std::make_unique<TableSource>(std::move(tables), options, reading);
}

}  // namespace switchyard::data::detail
