#include "data/detail/prepared_images.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "base/error.hpp"
#include "base/span.hpp"
#include "data/detail/image_map.hpp"
#include "data/detail/image_steps.hpp"
#include "data/detail/table_checks.hpp"

namespace switchyard::data::detail {
namespace {

PlaneSize plane_of(const tensor::SampleShape& shape) { return {shape.height, shape.width}; }

tensor::SampleShape shape_after(const std::vector<PrepareStep>& steps, tensor::SampleShape shape) {
  for (const PrepareStep& step : steps) {
    if (step.kind == PrepareStep::Kind::rotate) continue;
    shape.height = step.height;
    shape.width = step.width;
  }
  return shape;
}

// The steps of data.prepare, for images of one size; and of data.derive, which comes before them.
class Preparation {
 public:
  Preparation(const tensor::SampleShape& shape, std::optional<double> turned,
              const std::vector<PrepareStep>& steps)
      : shape_(shape), result_(shape) {
    if (turned) turn_ = PixelMap::turn(plane_of(shape), *turned);
    most_pixels_ = plane_of(shape).pixels();
    for (const PrepareStep& step : steps) {
      maps_.push_back(map_of(step, plane_of(result_)));
      result_.height = maps_.back().size().height;
      result_.width = maps_.back().size().width;
      most_pixels_ = std::max(most_pixels_, maps_.back().size().pixels());
    }
    plane_.resize(most_pixels_);
    other_.resize(most_pixels_);
  }

  const tensor::SampleShape& result() const { return result_; }
  index_t copies() const { return turn_ ? 2 : 1; }

  // All copies of an image, one behind the other.
  void make(const std::uint8_t* image, std::uint8_t* copies) {
    const index_t from = plane_of(shape_).pixels(), to = plane_of(result_).pixels();
    for (index_t copy = 0; copy < this->copies(); ++copy) {
      for (index_t channel = 0; channel < shape_.channels; ++channel, copies += to) {
        std::copy_n(image + channel * from, from, plane_.begin());
        if (copy == 1) apply(*turn_);
        for (const PixelMap& map : maps_) apply(map);
        std::transform(plane_.begin(), plane_.begin() + to, copies, rounded);
      }
    }
  }

 private:
  static PixelMap map_of(const PrepareStep& step, PlaneSize from) {
    const PlaneSize to{step.height, step.width};
    switch (step.kind) {
      case PrepareStep::Kind::rotate:
        return PixelMap::turn(from, step.degrees);
      case PrepareStep::Kind::centre_crop:
        if (to.height > from.height || to.width > from.width)
          throw ConfigError(fmt::format(
              "data.prepare: {} is larger than the images ({} x {} where it comes to them); write a smaller one, "
              "or put a resize in front of it",
              step.word, from.height, from.width));
        return PixelMap::centre_crop(from, to);
      case PrepareStep::Kind::resize:
        break;
    }
    return PixelMap::resize(from, to);
  }

  // Half up; sums of shares may be off by an ulp.
  static std::uint8_t rounded(double value) {
    return static_cast<std::uint8_t>(std::clamp(std::floor(value + 0.5), 0.0, 255.0));
  }

  void apply(const PixelMap& map) {
    map.apply(plane_.data(), other_.data());
    plane_.swap(other_);
  }

  tensor::SampleShape shape_, result_;
  std::optional<PixelMap> turn_;
  std::vector<PixelMap> maps_;
  index_t most_pixels_ = 0;
  Vector<double> plane_, other_;
};

NumberArray prepared_samples(const NumberArray& samples, Preparation& preparation) {
  const tensor::SampleShape& shape = preparation.result();
  const index_t rows = samples.rows() * preparation.copies();
  const index_t from = samples.row_size(), to = preparation.copies() * shape.features();
  Vector<std::uint8_t> bytes(rows * shape.features()), image(from);
  for (index_t row = 0; row < samples.rows(); ++row) {
    samples.read_bytes({row * from, (row + 1) * from}, std::as_writable_bytes(Span(image)));
    preparation.make(image.data(), bytes.data() + row * to);
  }
  return {
      samples.name(), NumberType::uint8, {rows, shape.channels, shape.height, shape.width}, std::move(bytes)};
}

// "data.derive = rotated:30, data.prepare = resize:64": those of them that do anything.
std::string because(const Options& options) {
  std::string text;
  for (const auto& [key, value] :
       {std::pair{"data.derive", options.derive}, {"data.prepare", options.prepare}}) {
    if (value != "none") text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", key, value);
  }
  return text;
}

template <class T>
std::vector<T> doubled(const std::vector<T>& values) {
  std::vector<T> twice;
  twice.reserve(2 * values.size());
  for (const T& value : values) twice.insert(twice.end(), 2, value);
  return twice;
}

// An image's id twice, and once more than that.
void double_ids(LabelArray& ids, const NumberArray& samples) {
  expect_one_each(ids, samples);
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max() / 2;
  for (const std::int64_t id : ids.values) {
    if (id >= -most && id < most) continue;
    throw DataError(fmt::format(
        "{} has the id {} (data.derive numbers the samples of an image by twice its id, which would be "
        "too large); number the samples otherwise",
        ids.name, id));
  }
  ids.values = doubled(ids.values);
  for (std::size_t row = 0; row < ids.values.size(); ++row)
    ids.values[row] = 2 * ids.values[row] + static_cast<std::int64_t>(row % 2);
}

// All of a table but its samples, which are the images still.
void derive_labels(Table& table, bool have_classes, index_t most_classes) {
  LabelArray labels{table.samples.name(), {}};
  if (table.labels) {
    labels.name = table.labels->name;
    labels.is_column = table.labels->is_column;
    static_cast<void>(checked(*table.labels, table.samples, most_classes));
  }
  table.clusters.reset();
  if (have_classes) table.clusters = LabelArray{labels.name, doubled(table.labels->values), labels.is_column};
  for (index_t row = 0; row < 2 * table.samples.rows(); ++row) labels.values.push_back(row % 2);
  table.labels = std::move(labels);
  if (table.ids) double_ids(*table.ids, table.samples);
  if (table.weights) {
    expect_weights(*table.weights, table.samples);
    table.weights->values = doubled(table.weights->values);
    table.weights->shape[0] *= 2;
  }
}

}  // namespace

bool are_prepared(const Options& options) {
  return parse_derive(options.derive) || !parse_prepare(options.prepare).empty();
}

void expect_images(const NumberArray& samples, std::string_view key, std::string_view value) {
  const tensor::SampleShape shape = shape_of(samples);
  if (samples.type() == NumberType::uint8 && shape.height > 1) return;
  throw ConfigError(fmt::format(
      "{} = {} with samples that are no images ({} are {} of {} x {} x {}; images are uint8 and have rows); set "
      "{} = none",
      key, value, samples.name(), samples.type() == NumberType::uint8 ? "pixels" : name(samples.type()),
      shape.channels, shape.height, shape.width, key));
}

Tables prepared(Tables tables, const Options& options, const Reading& reading) {
  const std::optional<double> turned = parse_derive(options.derive);
  const std::vector<PrepareStep> steps = parse_prepare(options.prepare);
  if (turned && reading.labels == Labels::numbers)
    throw ConfigError(fmt::format(
        "data.derive = {} with a model.loss of real numbers (what is derived are classes: 0 and 1); set "
        "data.derive = none, or another model.loss",
        options.derive));
  std::vector<Table*> all;
  for (std::optional<Table>* table : {&tables.train, &tables.validation, &tables.test}) {
    if (*table) all.push_back(&**table);
  }
  const bool have_classes =
      std::ranges::all_of(all, [](const Table* table) { return table->labels.has_value(); });
  const index_t most_classes = most_classes_of(tables, reading.purpose);
  const std::string_view key = turned ? "data.derive" : "data.prepare";
  const std::string& value = turned ? options.derive : options.prepare;
  index_t images = 0;
  for (const Table* const table : all) {
    expect_images(table->samples, key, value);
    images += (turned ? 2 : 1) * table->samples.rows();
    expect_memory(images, shape_after(steps, shape_of(table->samples)), because(options));
  }
  for (Table* const table : all) {
    Preparation preparation(shape_of(table->samples), turned, steps);
    if (turned) derive_labels(*table, have_classes, most_classes);
    table->samples = prepared_samples(table->samples, preparation);
  }
  if (turned) {
    tables.rows_of_one = 2;
    tables.least_clusters = tables.least_classes;
    tables.cluster_names = std::move(tables.class_names);
    tables.class_names = {"upright", "rotated"};
    tables.least_classes = 2;
  }
  return tables;
}

}  // namespace switchyard::data::detail
