#include "data/detail/table_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.hpp"
#include "base/span.hpp"
#include "data/detail/file_split.hpp"

namespace switchyard::data::detail {
namespace {

tensor::SampleShape shape_of(const NumberArray& samples) {
  const tensor::Shape& s = samples.shape();
  if (s.size() > 4 || std::ranges::any_of(s, [](index_t size) { return size < 1; }))
    throw DataError(fmt::format(
        "{} is {} (samples x features, samples x height x width or samples x channels x height x width are read, "
        "with one sample at least); give it another shape",
        samples.name(), tensor::to_string(s)));
  if (samples.rows() > std::numeric_limits<std::int32_t>::max())
    throw DataError(fmt::format("{} has {} samples (2,147,483,647 at most are read); divide them",
                                samples.name(), samples.rows()));
  tensor::SampleShape shape;
  if (s.size() > 1) shape.width = s.back();
  if (s.size() > 2) shape.height = s[s.size() - 2];
  if (s.size() > 3) shape.channels = s[1];
  return shape;
}

constexpr std::int64_t most_classes = 1'000'000;

void expect_one_each(const LabelArray& labels, const NumberArray& samples) {
  if (std::ssize(labels.values) != samples.rows())
    throw DataError(fmt::format("{} has {} numbers but {} has {} samples (each needs one); write both again",
                                labels.name, labels.values.size(), samples.name(), samples.rows()));
}

// One for each sample, in [0, most_classes).
Vector<std::int32_t> checked(const LabelArray& labels, const NumberArray& samples) {
  expect_one_each(labels, samples);
  Vector<std::int32_t> all(samples.rows());
  for (std::size_t i = 0; i < labels.values.size(); ++i) {
    const std::int64_t value = labels.values[i];
    if (value < 0 || value >= most_classes)
      throw DataError(fmt::format("{}[{}] is {} (they count from 0, and end below {}); number them anew",
                                  labels.name, i, value, most_classes));
    all[i] = static_cast<std::int32_t>(value);
  }
  return all;
}

// As many rows as samples, of finite numbers.
void expect_fits(const RealArray& array, const NumberArray& samples) {
  if (array.shape[0] != samples.rows())
    throw DataError(fmt::format("{} has {} rows but {} has {} samples (each needs one); write both again",
                                array.name, array.shape[0], samples.name(), samples.rows()));
  if (array.columns() == 0)
    throw DataError(fmt::format("{} is {} (a number for each sample is read, or several); write one at least",
                                array.name, tensor::to_string(array.shape)));
  const auto bad = std::ranges::find_if_not(array.values, [](double value) { return std::isfinite(value); });
  if (bad == array.values.end()) return;
  const index_t place = bad - array.values.begin();
  const std::string column = array.shape.size() > 1 ? fmt::format(", {}", place % array.columns()) : "";
  throw DataError(fmt::format("{}[{}{}] is {} (finite numbers are read); leave the sample out, or fill it in",
                              array.name, place / array.columns(), column, *bad));
}

void expect_weights(const RealArray& weights, const NumberArray& samples) {
  if (weights.shape.size() != 1)
    throw DataError(fmt::format("{} is {} (one number for each sample is read); write it with one dimension",
                                weights.name, tensor::to_string(weights.shape)));
  expect_fits(weights, samples);
  const auto bad = std::ranges::find_if(weights.values, [](double value) { return value < 0; });
  if (bad != weights.values.end())
    throw DataError(fmt::format("{}[{}] is {} (a weight is 0 at least); write it anew", weights.name,
                                bad - weights.values.begin(), *bad));
}

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

// "own.h5: train/samples[17, 3]", of a number by its place among all.
std::string place_of(const NumberArray& array, index_t number) {
  std::string indices;
  for (std::size_t d = array.shape().size(); d-- > 0;) {
    indices = fmt::format("{}{}{}", number % array.shape()[d], indices.empty() ? "" : ", ", indices);
    number /= array.shape()[d];
  }
  return fmt::format("{}[{}]", array.name(), indices);
}

void expect_finite(const NumberArray& array, index_t first, Span<const float> values) {
  const auto found = std::ranges::find_if_not(values, [](float value) { return std::isfinite(value); });
  if (found == values.end()) return;
  throw DataError(
      fmt::format("{} is {} in float32 (a model takes finite numbers); leave the sample out, or fill the "
                  "number in",
                  place_of(array, first + (found - values.begin())), *found));
}

template <class T>
void add_to(ContentHash& hash, Span<const T> values) {
  hash.add(std::as_bytes(values));
}

class TableSource final : public SampleSource {
 public:
  TableSource(Tables tables, const Options& options, Labels labels)
      : own_{checked_table(std::move(tables.train)), checked_table(std::move(tables.validation)),
             checked_table(std::move(tables.test))},
        shape_(shape_of(first().samples)),
        split_(split_of(options)),
        feature_names_(std::move(tables.feature_names)) {
    for (const Checked* table : all()) {
      expect_like_the_first(*table);
      if (labels == Labels::classes)
        class_count_ = std::max<index_t>(class_count_, 1 + *std::ranges::max_element(table->labels));
      if (!table->clusters.empty())
        group_count_ = std::max<index_t>(group_count_, 1 + *std::ranges::max_element(table->clusters));
    }
    digest_ = scan();
    if (options.normalise != Normalise::given) learn_scales(options.normalise);
    if (has_weights()) weight_unit_ = mean_weight();
  }

  const tensor::SampleShape& shape() const override { return shape_; }
  index_t class_count() const override { return class_count_; }
  index_t group_count() const override { return group_count_; }
  index_t size(Split split) const override { return split_.size(split); }

  void fill(const Request& request, tensor::Matrix rows) const override {
    const NumberArray& samples = of(request.split).samples;
    const index_t features = shape_.features();
    for (index_t i = 0; i < std::ssize(request.samples); ++i) {
      const index_t row = split_.row(request.split, request.samples[i]);
      samples.read({row * features, (row + 1) * features}, rows.row(i));
      normalise(scales_ ? *scales_ : *request.normalisation, rows.row(i));
    }
  }

  bool has_pixels() const override { return first().samples.type() == NumberType::uint8; }
  std::vector<std::string> feature_names() const override { return feature_names_; }
  const Normalisation* learned_normalisation() const override { return scales_ ? &*scales_ : nullptr; }
  bool scales_features() const override { return true; }

  void add_content(ContentHash& hash) const override {
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
  bool has_weights() const override { return own_[as_size(Split::train)] && first().weights; }
  float weight(index_t sample) const override {
    return static_cast<float>(first().weights->values[as_size(split_.row(Split::train, sample))] /
                              weight_unit_);
  }
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

    explicit Checked(Table table)
        : samples(std::move(table.samples)),
          has_labels(table.labels || table.targets),
          targets(std::move(table.targets)),
          weights(std::move(table.weights)) {
      labels = table.labels ? checked(*table.labels, samples) : Vector<std::int32_t>(samples.rows());
      if (targets) expect_fits(*targets, samples);
      if (weights) expect_weights(*weights, samples);
      if (table.clusters) clusters = checked(*table.clusters, samples);
      if (table.ids) {
        expect_one_each(*table.ids, samples);
        ids = std::move(table.ids->values);
      }
    }
  };

  static std::optional<Checked> checked_table(std::optional<Table> table) {
    if (!table) return {};
    static_cast<void>(shape_of(table->samples));
    return Checked(*std::move(table));
  }

  FileSplit split_of(const Options& options) const {
    const auto& [train, validation, test] = own_;
    const auto rows_of = [](const std::optional<Checked>& table) { return table ? table->samples.rows() : 0; };
    if (!train) return FileSplit({0, rows_of(validation), rows_of(test)});
    GivenRows given;
    if (validation) given.validation = rows_of(validation);
    if (test) given.test = rows_of(test);
    return {options, train->labels, given, train->samples.name()};
  }

  std::vector<const Checked*> all() const {
    std::vector<const Checked*> tables;
    for (const std::optional<Checked>& table : own_) {
      if (table) tables.push_back(&*table);
    }
    return tables;
  }
  const Checked& first() const { return *all().front(); }

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
    for (index_t n = 0; n < size(Split::train); ++n)
      sum += first().weights->values[as_size(split_.row(Split::train, n))];
    if (!(sum > 0 && std::isfinite(sum)))
      throw DataError(
          fmt::format("{} adds up to {} over the training samples (nothing is learned of weight 0); "
                      "write it anew",
                      first().weights->name, sum));
    return sum / static_cast<double>(size(Split::train));
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

  // y = (x - mean) / standard deviation in double, rounded once.
  void normalise(const Normalisation& scales, float* row) const {
    const double unit = has_pixels() ? 255 : 1;
    const auto count = std::ssize(scales.mean);
    const index_t each = shape_.features() / count;
    for (index_t i = 0; i < count; ++i) {
      const double mean = scales.mean[as_size(i)], deviation = scales.standard_deviation[as_size(i)];
      if (mean == 0 && deviation == 1 && unit == 1) continue;
      for (index_t f = i * each; f < (i + 1) * each; ++f)
        row[f] = static_cast<float>((static_cast<double>(row[f]) / unit - mean) / deviation);
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

  std::array<std::optional<Checked>, 3> own_;  // by Split
  tensor::SampleShape shape_;
  FileSplit split_;
  std::vector<std::string> feature_names_;
  index_t class_count_ = 0;
  index_t group_count_ = 0;
  std::string digest_;
  std::optional<Normalisation> scales_;  // of the training samples
  double weight_unit_ = 1;
};

}  // namespace

std::unique_ptr<const SampleSource> make_table_source(Tables tables, const Options& options, Labels labels) {
  return std::make_unique<TableSource>(std::move(tables), options, labels);
}

}  // namespace switchyard::data::detail
