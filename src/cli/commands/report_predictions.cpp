#include "cli/commands/report_predictions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/name_lines.hpp"
#include "checkpoint/checkpoint.hpp"
#include "cli/stored_run.hpp"
#include "data/dataset.hpp"
#include "report/run_data.hpp"
#include "run/config.hpp"
#include "run/load_data.hpp"
#include "train/evaluation.hpp"

namespace switchyard::cli {
namespace {

using checkpoint::DType;
using checkpoint::Slice;

// An array of the file: its shape and values.
struct Array {
  tensor::Shape shape;
  DType dtype = DType::float32;
  std::vector<std::int64_t> integers;
  std::vector<float> floats;
  std::vector<double> doubles;

  index_t rows() const { return shape.empty() ? 0 : shape.front(); }
  index_t columns() const {
    const index_t all = rows();
    return all == 0 ? 0 : tensor::element_count(shape) / all;
  }
  std::vector<double> numbers() const {
    if (dtype == DType::float64) return doubles;
    return dtype == DType::int64 ? std::vector<double>(integers.begin(), integers.end())
                                 : std::vector<double>(floats.begin(), floats.end());
  }
};

// Nothing if there is no such array of integers or floats.
std::optional<Array> read_array(const checkpoint::Reader& reader, const std::string& path) {
  for (Slice slice : reader.arrays()) {
    if (slice.path != path) continue;
    Array array{slice.shape, slice.dtype, {}, {}, {}};
    slice.elements = checkpoint::all_elements(slice.shape);
    const auto read_into = [&](auto& values) {
      values.resize(as_size(tensor::element_count(slice.shape)));
      slice.data = reinterpret_cast<std::byte*>(values.data());
      reader.read(slice);
    };
    if (slice.dtype == DType::int64) {
      read_into(array.integers);
    } else if (slice.dtype == DType::float32) {
      read_into(array.floats);
    } else if (slice.dtype == DType::float64) {
      read_into(array.doubles);
    } else {
      return std::nullopt;
    }
    return array;
  }
  return std::nullopt;
}

[[noreturn]] void reject_file(const std::string& file, std::string_view why) {
  throw DataError(fmt::format(
      "'{}' holds no predictions ({}); write them with `switchyard predict RUN --out=FILE.h5`", file, why));
}

Array needed(const checkpoint::Reader& reader, const std::string& file, const std::string& path) {
  std::optional<Array> array = read_array(reader, path);
  if (!array || array->rows() == 0) reject_file(file, fmt::format("there is no array {}", path));
  return std::move(*array);
}

report::Predictions read_file(const checkpoint::Reader& reader, const std::string& file) {
  report::Predictions said;
  said.ids = needed(reader, file, "ids").integers;
  Array experts = needed(reader, file, "experts");
  Array weights = needed(reader, file, "gate_weights");
  said.slots = experts.columns();
  said.experts = std::move(experts.integers);
  said.gate_weights = std::move(weights.floats);
  const std::size_t slots = said.ids.size() * as_size(said.slots);
  constexpr std::int64_t most_experts = std::int64_t{1} << 20;
  if (said.experts.size() != slots || said.gate_weights.size() != slots ||
      std::ranges::any_of(said.experts, [](std::int64_t e) { return e >= most_experts; }))
    reject_file(file, "experts and gate_weights are not of its ids");
  const auto of_samples = [&](const char* path, index_t columns) {
    std::optional<Array> array = read_array(reader, path);
    const bool fits = array && array->rows() == said.samples() && (columns == 0 || array->columns() == columns);
    return fits ? std::move(array) : std::nullopt;
  };
  if (const auto labels = of_samples("labels", 1)) said.labels = labels->numbers();
  if (const auto predicted = of_samples("prediction", 1)) {
    said.predicted = predicted->numbers();
    said.are_classes = predicted->dtype == DType::int64;
    said.of_classes = said.are_classes;
  }
  // What a class is not cannot be counted.
  if (std::ranges::any_of(said.labels, [](double label) { return label < 0; })) said.of_classes = false;
  if (const auto probabilities = of_samples("probabilities", 0)) {
    const auto columns = static_cast<std::ptrdiff_t>(probabilities->columns());
    for (auto row = probabilities->floats.begin(); row != probabilities->floats.end(); row += columns)
      said.certainty.push_back(static_cast<double>(*std::max_element(row, row + columns)));
  }
  if (said.of_classes && reader.contains("class_names"))
    said.class_names = names_on_lines(reader.text("class_names"));
  said.split = reader.contains("split") ? reader.text("split") : "test";
  said.checkpoint = reader.contains("checkpoint") ? reader.text("checkpoint") : "an unnamed checkpoint";
  return said;
}

data::Split split_named(const std::string& name, const std::string& file) {
  for (const data::Split split : {data::Split::train, data::Split::validation, data::Split::test}) {
    if (name == train::name(split)) return split;
  }
  reject_file(file, fmt::format("'{}' is no split", name));
}

// Pictures, clusters and names of classes, as the data of the run have them; samples by their ids.
void add_data(const CommandLine& line, const std::string& file, const std::string& data_digest,
              report::Predictions& said) {
  const std::filesystem::path folder = line.positionals.front();
  std::shared_ptr<const data::Dataset> dataset;
  const data::Split split = split_named(said.split, file);
  try {
    run::Config config = asked_config(read_configuration((folder / "config.ini").string()), line);
    // As they are: how a model wants them is nothing to look at, and other data have scales of their own.
    config.data.normalise = data::Normalise::given;
    config.data.mean = {0};
    config.data.standard_deviation = {1};
    dataset = std::make_shared<const data::Dataset>(run::load_data(config, data::Purpose::prediction));
  } catch (const Error& error) {
    if (!line.overrides.empty()) throw;  // the user asked for these data
    log::warn("samples are shown without pictures: {}", error.what());
    return;
  }
  if (dataset->identity().digest != data_digest) {
    throw DataError(fmt::format(
        "the predictions in '{}' are of other data than {} (the digest of theirs is {}, of these {}); give "
        "the data that predict was given, such as --data.file=FILE or --data.dir=FOLDER",
        file, line.overrides.empty() ? "the run's" : "these", data_digest, dataset->identity().digest));
  }
  std::unordered_map<std::int64_t, index_t> places;
  for (index_t n = 0; n < dataset->size(split); ++n) places.emplace(dataset->id(split, n), n);
  std::vector<index_t> rows;
  for (const std::int64_t id : said.ids) {
    const auto place = places.find(id);
    if (place == places.end())
      throw DataError(fmt::format(
          "the predictions in '{}' are of other samples than the data (of their {} split none has the id {}); give the "
          "keys of [data] that predict was given",
          file, said.split, id));
    rows.push_back(place->second);
  }
  if (said.of_classes && said.class_names.empty()) said.class_names = dataset->class_names();
  if (dataset->group_count() > 0) {
    said.cluster = [dataset, split, rows, names = dataset->group_names()](index_t sample) {
      std::int32_t group = 0;
      dataset->fill_groups(split, {&rows[as_size(sample)], 1}, {&group, 1});
      return group < std::ssize(names) ? names[as_size(group)] : fmt::format("{}", group);
    };
  }
  said.picture = [dataset, split, rows = std::move(rows)](index_t sample) {
    const tensor::SampleShape& shape = dataset->shape();
    std::vector<float> numbers(as_size(shape.features()));
    dataset->fill(split, {&rows[as_size(sample)], 1}, {numbers.data(), 1, shape.features()});
    // Bytes as they are; other numbers have no range of their own.
    const auto tones = dataset->has_pixels() ? std::optional(report::Tones{0, 1}) : std::nullopt;
    return report::picture_of(numbers, shape.channels, shape.height, shape.width, tones);
  };
}

[[noreturn]] void reject_run(const std::string& file, const std::filesystem::path& folder,
                             const std::string& why) {
  throw DataError(
      fmt::format("the predictions in '{}' are of another model than that of '{}' ({}); write them again: "
                  "`switchyard predict {} --out=FILE.h5`",
                  file, folder.string(), why, folder.string()));
}

// The checkpoint that made them is looked for in the run by its name and digest. A run removes old ones: then
// what the numbers are must do.
void expect_of_run(const std::filesystem::path& folder, const std::string& file, const std::string& digest,
                   report::Predictions& said) {
  const std::filesystem::path its = folder / "checkpoints" / std::filesystem::path(said.checkpoint).filename();
  if (std::error_code error; std::filesystem::is_regular_file(its, error)) {
    const std::string there = checkpoint::Reader(its).digest();
    if (there == digest) return;
    reject_run(file, folder, fmt::format("{} has the digest {}, theirs had {}", its.string(), there, digest));
  }
  const run::Config config = read_configuration((folder / "config.ini").string());
  if (config.model.family != model::Family::mixture) reject_run(file, folder, "that is one of text");
  if (const bool are_numbers = model::kind_of(config.model.loss).of_numbers;
      !said.predicted.empty() && are_numbers == said.are_classes)
    reject_run(file, folder, said.are_classes ? "they are classes" : "they are real numbers");
  if (const std::int64_t last = std::ranges::max(said.experts); last >= config.moe.experts)
    reject_run(file, folder, fmt::format("one is by expert {}, and the run has {}", last, config.moe.experts));
  said.is_of_run = false;
  log::warn(
      "the run in '{}' does not hold {}, which made the predictions: whether they are of its model is not known",
      folder.string(), its.filename().string());
}

}  // namespace

std::optional<report::Predictions> predictions_of(const CommandLine& line) {
  const std::optional<std::string> file = line.option("predictions");
  if (!file && !line.overrides.empty()) {
    throw ConfigError(fmt::format(
        "--{} has nothing to change (a report reads data only for --predictions=FILE.h5); leave it out",
        line.overrides.front().key));
  }
  if (!file) return std::nullopt;
  if (line.positionals.size() != 1)
    throw ConfigError("--predictions is of one run, and several are given; make a page of each");
  if (file->ends_with(".csv"))
    throw ConfigError(fmt::format(
        "--predictions={} is a table of text (a report reads HDF5); write `switchyard predict RUN --out=FILE.h5`",
        *file));
  const checkpoint::Reader reader(*file, checkpoint::arrays_mark);
  report::Predictions said = read_file(reader, *file);
  if (!report::is_run(line.positionals.front())) return said;  // its page says so
  const auto text_of = [&](const std::string& name) {
    return reader.contains(name) ? reader.text(name) : "unknown";
  };
  expect_of_run(line.positionals.front(), *file, text_of("checkpoint_digest"), said);
  add_data(line, *file, text_of("data_digest"), said);
  return said;
}

}  // namespace switchyard::cli
