// predict: what a model says of each sample, as a file.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <iterator>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/log.hpp"
#include "checkpoint/checkpoint.hpp"
#include "cli/commands/commands.hpp"
#include "cli/handshake.hpp"
#include "cli/stored_run.hpp"
#include "comm/agreement.hpp"
#include "files/regular_file.hpp"
#include "files/replacement.hpp"
#include "moe/router_kind.hpp"
#include "run/config.hpp"
#include "run/data_arrays.hpp"
#include "run/run_checkpoint.hpp"
#include "train/evaluation.hpp"
#include "train/prediction.hpp"

namespace switchyard::cli {
namespace {

constexpr std::string_view csv_mark = "id,prediction";

struct PredictOptions {
  std::string file;
  bool as_text = false;
  bool with_outputs = false;
  data::Split split = data::Split::test;
};

PredictOptions options_of(const CommandLine& line) {
  PredictOptions options{.file = line.option("out").value_or(""), .split = split_of(line)};
  options.as_text = options.file.ends_with(".csv");
  if (!options.as_text && !options.file.ends_with(".h5"))
    throw ConfigError(fmt::format(
        "--out={} says no format (predict writes .h5 and .csv); try --out=predictions.h5", options.file));
  const std::string outputs = line.option("outputs").value_or("no");
  if (outputs != "yes" && outputs != "no")
    throw ConfigError(fmt::format("--outputs={} is neither yes nor no; try --outputs=yes", outputs));
  options.with_outputs = outputs == "yes";
  if (options.with_outputs && options.as_text)
    throw ConfigError(
        "--outputs=yes with a .csv file (it has a row for a sample, and no room for outputs by expert and "
        "class); write --out=FILE.h5");
  return options;
}

tensor::Shape shape_of_targets(const data::Dataset& dataset, index_t count) {
  return dataset.has_flat_targets() && dataset.target_count() == 1
             ? tensor::Shape{count}
             : tensor::Shape{count, dataset.target_count()};
}

// What is written of N samples: a data set, or columns of a table.
struct Column {
  std::string name;
  checkpoint::DType type;
  tensor::Shape shape;  // N first
  std::vector<std::int64_t> whole = {};
  std::vector<float> floats = {};
  std::vector<double> doubles = {};

  index_t each() const { return tensor::element_count(shape) / std::max<index_t>(shape[0], 1); }
  std::string text(index_t i) const {
    if (type == checkpoint::DType::int64) return fmt::format("{}", whole[as_size(i)]);
    return type == checkpoint::DType::float32 ? fmt::format("{}", floats[as_size(i)])
                                              : fmt::format("{}", doubles[as_size(i)]);
  }
  const void* data() const {
    if (type == checkpoint::DType::int64) return whole.data();
    return type == checkpoint::DType::float32 ? static_cast<const void*>(floats.data()) : doubles.data();
  }
};

Column whole_numbers(std::string name, tensor::Shape shape, std::vector<std::int64_t> values) {
  return {std::move(name), checkpoint::DType::int64, std::move(shape), std::move(values)};
}
Column floats(std::string name, tensor::Shape shape, const Vector<float>& values) {
  return {std::move(name), checkpoint::DType::float32, std::move(shape), {}, {values.begin(), values.end()}};
}
Column doubles(std::string name, tensor::Shape shape, std::vector<double> values) {
  return {std::move(name), checkpoint::DType::float64, std::move(shape), {}, {}, std::move(values)};
}

Column ids_of(const data::Dataset& dataset, data::Split split) {
  std::vector<std::int64_t> ids;
  for (index_t n = 0; n < dataset.size(split); ++n) ids.push_back(dataset.id(split, n));
  return whole_numbers("ids", {dataset.size(split)}, std::move(ids));
}

Column labels_of(const data::Dataset& dataset, data::Split split) {
  const index_t count = dataset.size(split);
  if (const index_t targets = dataset.target_count(); targets > 0) {
    std::vector<double> values;
    for (index_t i = 0; i < count * targets; ++i)
      values.push_back(dataset.target(split, i / targets, i % targets));
    return doubles("labels", shape_of_targets(dataset, count), std::move(values));
  }
  Vector<index_t> all(count);
  std::iota(all.begin(), all.end(), index_t{0});
  Vector<std::int32_t> labels(count);
  dataset.fill_labels(split, all, labels);
  return whole_numbers("labels", {count}, {labels.begin(), labels.end()});
}

// Classes, or real numbers in the units of the data.
Column prediction_of(const data::Dataset& dataset, const train::SplitPredictions& said, index_t count) {
  if (said.values.empty())
    return whole_numbers("prediction", {count}, {said.predicted.begin(), said.predicted.end()});
  std::vector<double> values(said.values.begin(), said.values.end());
  if (const data::Normalisation* const scales = dataset.target_scales()) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t t = i % scales->mean.size();
      values[i] = values[i] * scales->standard_deviation[t] + scales->mean[t];
    }
  }
  return doubles("prediction", shape_of_targets(dataset, count), std::move(values));
}

std::vector<Column> columns_of(const data::Dataset& dataset, data::Split split,
                               const train::SplitPredictions& said, index_t outputs) {
  const index_t count = dataset.size(split);
  std::vector<Column> columns{ids_of(dataset, split), prediction_of(dataset, said, count)};
  if (dataset.has_labels(split)) columns.push_back(labels_of(dataset, split));
  if (said.values.empty()) columns.push_back(floats("probabilities", {count, outputs}, said.probabilities));
  const tensor::Shape slots{count, said.slots};
  columns.push_back(whole_numbers("experts", slots, {said.experts.begin(), said.experts.end()}));
  columns.push_back(floats("gate_weights", slots, said.gate_weights));
  if (!said.expert_outputs.empty())
    columns.push_back(floats("expert_outputs", {count, said.slots, said.outputs}, said.expert_outputs));
  return columns;
}

void write_hdf5(const std::string& file, std::vector<Column>& columns, const checkpoint::Header& header) {
  std::vector<checkpoint::Slice> arrays;
  for (const Column& column : columns) {
    // What is written is only read, but a slice can be either.
    arrays.push_back({column.name, column.type, column.shape, checkpoint::all_elements(column.shape),
                      static_cast<std::byte*>(const_cast<void*>(column.data()))});
  }
  checkpoint::write_arrays(file, header, arrays);
}

// What a column of several numbers of a sample, or of one, is called in a table of text.
std::string text_name(const std::string& name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> singular = {
      {{"ids", "id"},
       {"labels", "label"},
       {"probabilities", "probability"},
       {"experts", "expert"},
       {"gate_weights", "gate_weight"}}};
  const auto* const found =
      std::ranges::find(singular, name, &std::pair<std::string_view, std::string_view>::first);
  return found == singular.end() ? name : std::string(found->second);
}

// Floats with as many digits as tell them apart.
std::string csv_text(const std::vector<Column>& columns) {
  fmt::memory_buffer text;
  const auto out = std::back_inserter(text);
  std::string_view comma;
  for (const Column& column : columns) {
    for (index_t i = 0; i < column.each(); ++i) {
      fmt::format_to(out, "{}{}", comma, text_name(column.name));
      if (column.shape.size() > 1) fmt::format_to(out, "_{}", i);
      comma = ",";
    }
  }
  for (index_t n = 0; n < columns.front().shape[0]; ++n) {
    comma = "\n";
    for (const Column& column : columns) {
      for (index_t i = 0; i < column.each(); ++i) {
        fmt::format_to(out, "{}{}", comma, column.text(n * column.each() + i));
        comma = ",";
      }
    }
  }
  fmt::format_to(out, "\n");
  return fmt::to_string(text);
}

// Of a run's own data a split may be some of the training samples. Of others the rest would be left out in
// silence.
void expect_whole_split(const checkpoint::Reader& reader, const data::Dataset& dataset, data::Split split) {
  const index_t held = dataset.file_samples(split), size = dataset.size(split);
  if (held == size || run::stored_identity(reader) == dataset.identity()) return;
  throw DataError(fmt::format(
      "the {} split is {} of the {} training samples of data that are not the run's (they divide them, and the others "
      "would be left out); write the samples as those of the test split (test/samples, test_samples.npy, test.csv)",
      train::name(split), size, held));
}

}  // namespace

int predict(Runtime& runtime, Arguments arguments) {
  comm::Communicator& communicator = runtime.communicator();
  PredictOptions options;
  CommandLine line;
  const std::string file = checkpoint_of(
      runtime,
      [&] {
        line = parse_command_line(
            arguments, {.schemas = {&run::schema()}, .own = {"out", "split", "checkpoint", "outputs"}});
        options = options_of(line);
        files::expect_replaceable(options.file, options.as_text ? csv_mark : checkpoint::arrays_mark,
                                  "--out=FILE");
        return line;
      },
      {"predict takes one checkpoint or run folder", "switchyard predict runs/latest --out=predictions.h5"});
  comm::expect_same(communicator, ErrorKind::config,
                    std::vector{compared_argument("--split", train::name(options.split)),
                                compared_argument("--out", options.file),
                                compared_argument("--outputs", options.with_outputs ? "yes" : "no")});
  const checkpoint::Reader reader(communicator, file);
  const run::Config config = run::without_own_scales(reader, stored_config(runtime, reader, file, line));
  runtime.start_device(config.run, config.comm);
  const comm::Resources resources = runtime.resources(config.moe.replicas);
  data::Dataset dataset = runtime.read_data(config, data::Purpose::prediction);
  std::optional<train::BatchLoader> loader;
  std::unique_ptr<model::Model> model;
  model::Task task;
  comm::agree(communicator, [&] {
    if (dataset.size(options.split) == 0)
      throw ConfigError(
          fmt::format("the {} split has no samples; try another --split", train::name(options.split)));
    expect_whole_split(reader, dataset, options.split);
    if (!dataset.has_labels(options.split) && moe::parse_gate(config.model.gate).kind.reads_labels)
      throw ConfigError(
          fmt::format("the data have no labels, by which model.gate = {} chooses experts; give data with "
                      "labels",
                      config.model.gate));
    task = run::fit_to_checkpoint(reader, dataset);
    loader.emplace(config.train, config.run.seed, dataset, resources);
    model = model::make_model(run::model_options(config), task, resources);
    run::load_arrays(reader, runtime.resources().context, *model, nullptr);
    model->values_changed();
  });
  const train::SplitPredictions said =
      train::predict(options.split, *loader, *model, resources, options.with_outputs);
  comm::agree(communicator, [&] {
    if (!runtime.is_root()) return;
    warn_of_other_data(reader, dataset);
    const index_t count = dataset.size(options.split);
    const index_t outputs = task.targets > 0 ? task.targets : task.classes;
    std::vector<Column> columns = columns_of(dataset, options.split, said, outputs);
    if (options.as_text) {
      files::replace_file(options.file, csv_text(columns), "--out=FILE");
    } else {
      checkpoint::Header header{.integers = {{"step", reader.integer("state/step")}},
                                .numbers = {},
                                .texts = {{"checkpoint", file},
                                          {"checkpoint_digest", reader.digest()},
                                          {"data_digest", dataset.identity().digest},
                                          {"split", std::string(train::name(options.split))}}};
      // Those of the model: data without labels have none.
      if (reader.contains("data/class_names")) header.texts["class_names"] = reader.text("data/class_names");
      write_hdf5(options.file, columns, header);
    }
    std::cout << fmt::format("{}: {} samples, {} {}, {} of {} experts each\n", options.file, count, outputs,
                             task.targets == 0   ? "classes"
                             : task.targets == 1 ? "number"
                                                 : "numbers",
                             said.slots, config.moe.experts);
  });
  communicator.barrier();
  return 0;
}

std::string predict_help() {
  return R"(usage: switchyard predict CHECKPOINT|RUN --out=FILE.h5|FILE.csv [--split=test|validation|train] [--outputs=yes]
                          [--checkpoint=best|latest|STEP] [--data.source=SOURCE --data.file=FILE|--data.dir=FOLDER]
                          [--run.device=auto|cpu|cuda]

Writes what a model says of each sample of a split: ids, prediction (the class), probabilities (of each class), experts
(those that answered, K for each sample) and gate_weights (theirs); labels, where the data have them; with --outputs=yes
expert_outputs, too (samples x K x outputs of an expert: logarithms of probabilities where model.loss compares distributions).
A .csv file has a column for each number. Where labels are real numbers, prediction is one, in the units of the data.

The data may be others than the run's, also without labels, and of another source: `switchyard predict RUN
--data.source=npy --data.dir=FOLDER --out=FILE.h5` reads test_samples.npy there. Their scales are those of the run. An id is
what the data say (SPLIT/ids, SPLIT_ids.npy, the column csv.id), or else the sample's place in the file that it is from.
The bytes of the file do not depend on the number of ranks.
)";
}

}  // namespace switchyard::cli
