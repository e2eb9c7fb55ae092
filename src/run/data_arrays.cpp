#include "run/data_arrays.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "base/name_lines.hpp"
#include "base/span.hpp"
#include "run/vocabulary.hpp"
#include "train/batch_loader.hpp"

namespace switchyard::run {
namespace {

constexpr std::string_view mean_path = "data/mean";
constexpr std::string_view deviation_path = "data/standard_deviation";
constexpr std::string_view target_mean_path = "data/target_mean";
constexpr std::string_view target_deviation_path = "data/target_standard_deviation";

// "a, b", of lines; the first ones of many.
std::string in_a_line(const std::string& lines) {
  constexpr std::size_t most = 200;
  std::string text = lines.substr(0, lines.find_last_not_of('\n') + 1);
  if (text.size() > most) text = text.substr(0, most) + "...";
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.replace(at, 1, ", ");
  return text;
}

// A slice can be read or written, so it is of what may change.
template <class T>
checkpoint::Slice slice_of(std::string_view path, checkpoint::DType type, Span<const T> values) {
  const tensor::Shape shape{std::ssize(values)};
  return {std::string(path), type, shape, checkpoint::all_elements(shape),
          reinterpret_cast<std::byte*>(const_cast<T*>(values.data()))};
}

std::vector<double> stored(const checkpoint::Reader& reader, std::string_view path) {
  const std::vector<checkpoint::Slice> arrays = reader.arrays();
  const auto found = std::ranges::find(arrays, path, &checkpoint::Slice::path);
  if (found == arrays.end()) return {};
  std::vector<double> values(as_size(tensor::element_count(found->shape)));
  reader.read(slice_of(path, checkpoint::DType::float64, Span<const double>(values)));
  return values;
}

}  // namespace

void add_data_facts(const data::Dataset& dataset, checkpoint::Header& header) {
  header.integers["data/classes"] = dataset.class_count();
  if (dataset.window() > 0) return;
  const tensor::SampleShape& shape = dataset.shape();
  if (dataset.target_count() > 0) header.integers["data/targets"] = dataset.target_count();
  header.texts["data/shape"] = fmt::format("{} x {} x {}", shape.channels, shape.height, shape.width);
  header.integers["data/pixels"] = dataset.has_pixels() ? 1 : 0;
  if (const std::vector<std::string> names = dataset.feature_names(); !names.empty())
    header.texts["data/columns"] = lines_of(names);
  if (const std::vector<std::string> names = dataset.class_names(); !names.empty())
    header.texts["data/class_names"] = lines_of(names);
}

std::vector<checkpoint::Slice> data_arrays(const data::Dataset& dataset) {
  std::vector<checkpoint::Slice> arrays;
  if (const std::string_view model = dataset.vocabulary_model(); !model.empty())
    arrays.push_back(slice_of(vocabulary_path, checkpoint::DType::uint8, Span<const char>(model)));
  const auto add = [&](const data::Normalisation* scales, std::string_view mean, std::string_view deviation) {
    if (scales == nullptr) return;
    const auto type = checkpoint::DType::float64;
    arrays.push_back(slice_of(mean, type, Span<const double>(scales->mean)));
    arrays.push_back(slice_of(deviation, type, Span<const double>(scales->standard_deviation)));
  };
  add(dataset.learned_normalisation(), mean_path, deviation_path);
  add(dataset.target_scales(), target_mean_path, target_deviation_path);
  return arrays;
}

Config without_own_scales(const checkpoint::Reader& reader, Config config) {
  // Once they are read.
  if (!stored(reader, mean_path).empty()) config.data.normalise = data::Normalise::given;
  if (!stored(reader, target_mean_path).empty()) config.data.scale_targets = false;
  return config;
}

namespace {

// How many real numbers the labels are, and their scales.
void fit_targets(const checkpoint::Reader& reader, data::Dataset& dataset) {
  const index_t known = reader.contains("data/targets") ? reader.integer("data/targets") : 0;
  if (dataset.target_count() == 0 && dataset.class_count() == 0) dataset.assume_targets(known);
  if (dataset.target_count() != known)
    throw DataError(fmt::format(
        "the data have labels of {} numbers, and the model of the checkpoint gives {}; give data that are like "
        "those of its run",
        dataset.target_count(), known));
  if (std::vector<double> mean = stored(reader, target_mean_path); !mean.empty())
    dataset.scale_targets_by({std::move(mean), stored(reader, target_deviation_path)});
}

// How folders of images are read as those of the run were, as words behind a remedy; else empty.
std::string as_the_images_were(const data::Dataset& dataset, const std::string& shape) {
  constexpr std::string_view cross = " x ";
  const std::size_t height = shape.find(cross), width = shape.rfind(cross);
  if (!dataset.has_pixels() || dataset.shape().height == 1 || height == shape.npos || width == height)
    return {};
  const std::size_t begin = height + cross.size();
  return fmt::format(" (folders of images: with --images.size={}x{} --images.channels={})",
                     shape.substr(begin, width - begin), shape.substr(width + cross.size()),
                     shape.substr(0, height));
}

// A label is a place among the names: where they are others, it is another class.
void expect_same_classes(const checkpoint::Reader& reader, const checkpoint::Header& now) {
  const std::string path = "data/class_names";
  if (!reader.contains(path) || !now.texts.contains(path)) return;
  const std::string then = reader.text(path);
  if (!then.starts_with(now.texts.at(path)))
    throw DataError(fmt::format(
        "the classes of the data are {}, and those of the checkpoint's run {} (a label is a place among them); give "
        "data of the same classes, of which some may be empty folders",
        in_a_line(now.texts.at(path)), in_a_line(then)));
}

}  // namespace

model::Task fit_to_checkpoint(const checkpoint::Reader& reader, data::Dataset& dataset) {
  checkpoint::Header now;
  add_data_facts(dataset, now);
  // What an older version wrote lacks them all.
  const auto expect_same_text = [&](const std::string& path, const char* what) {
    if (!reader.contains(path) || !now.texts.contains(path)) return;
    const std::string then = reader.text(path);
    if (then != now.texts.at(path))
      throw DataError(fmt::format(
          "the {} of the data are {}, and those of the checkpoint's run {}; give data that are like them{}",
          what, in_a_line(now.texts.at(path)), in_a_line(then), as_the_images_were(dataset, then)));
  };
  expect_same_text("data/shape", "samples");
  expect_same_text("data/columns", "columns");
  expect_same_classes(reader, now);
  const auto kind = [](std::int64_t pixels) { return pixels != 0 ? "pixels (uint8, value / 255)" : "numbers"; };
  if (dataset.window() == 0 && reader.contains("data/pixels")) {
    if (const std::int64_t then = reader.integer("data/pixels"); then != now.integers.at("data/pixels"))
      throw DataError(
          fmt::format("the data are {}, and those of the checkpoint's run {}; give data that are like them",
                      kind(now.integers.at("data/pixels")), kind(then)));
  }
  if (std::vector<double> mean = stored(reader, mean_path); !mean.empty()) {
    if (!dataset.scales_features() && std::ssize(mean) != dataset.shape().channels)
      throw DataError(
          "the run has a scale for each number of a sample, and this data.source one for each channel; give "
          "the data as data.source = hdf5 or npy");
    dataset.scale_by({std::move(mean), stored(reader, deviation_path)});
  }
  fit_targets(reader, dataset);
  model::Task task = train::task_of(dataset);
  if (!reader.contains("data/classes")) return task;
  const index_t known = reader.integer("data/classes");
  if (task.classes > known)
    throw DataError(fmt::format(
        "the data have labels up to {}, and the model of the checkpoint knows {} classes (0 to {}); "
        "give data of its classes",
        task.classes - 1, known, known - 1));
  task.classes = known;
  return task;
}

}  // namespace switchyard::run
