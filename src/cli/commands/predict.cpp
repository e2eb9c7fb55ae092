// predict: what a model says of each sample, as a file.
#include <fmt/format.h>

#include <iostream>
#include <iterator>
#include <memory>
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

constexpr std::string_view csv_mark = "id,prediction,";

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

// What is written of N samples, beside what the model says.
struct Samples {
  std::vector<std::int64_t> ids, labels;  // labels: empty if the data have none

  Samples(const data::Dataset& dataset, data::Split split) {
    Vector<index_t> all(dataset.size(split));
    for (std::size_t n = 0; n < all.size(); ++n) {
      all[n] = static_cast<index_t>(n);
      ids.push_back(dataset.id(split, all[n]));
    }
    if (!dataset.has_labels(split)) return;
    Vector<std::int32_t> numbers(all.size());
    dataset.fill_labels(split, all, numbers);
    labels.assign(numbers.begin(), numbers.end());
  }
};

void write_hdf5(const std::string& file, const Samples& samples, const train::SplitPredictions& said,
                index_t classes, const checkpoint::Header& header) {
  const index_t count = std::ssize(samples.ids);
  std::vector<std::int64_t> predicted(said.predicted.begin(), said.predicted.end());
  std::vector<std::int64_t> experts(said.experts.begin(), said.experts.end());
  std::vector<checkpoint::Slice> arrays;
  // What is written is only read, but a slice can be either.
  const auto add = [&](const char* name, checkpoint::DType type, tensor::Shape shape, const auto& values) {
    const IndexRange all = checkpoint::all_elements(shape);
    arrays.push_back(
        {name, type, std::move(shape), all,
         reinterpret_cast<std::byte*>(
             const_cast<std::remove_const_t<std::remove_pointer_t<decltype(values.data())>>*>(values.data()))});
  };
  add("ids", checkpoint::DType::int64, {count}, samples.ids);
  if (!samples.labels.empty()) add("labels", checkpoint::DType::int64, {count}, samples.labels);
  add("prediction", checkpoint::DType::int64, {count}, predicted);
  add("probabilities", checkpoint::DType::float32, {count, classes}, said.probabilities);
  add("experts", checkpoint::DType::int64, {count, said.slots}, experts);
  add("gate_weights", checkpoint::DType::float32, {count, said.slots}, said.gate_weights);
  if (!said.expert_outputs.empty())
    add("expert_outputs", checkpoint::DType::float32, {count, said.slots, classes}, said.expert_outputs);
  checkpoint::write_arrays(file, header, arrays);
}

// "probability_0,probability_1": a column for each.
std::string columns(std::string_view name, index_t count) {
  std::string text;
  for (index_t i = 0; i < count; ++i) text += fmt::format(",{}_{}", name, i);
  return text;
}

// Floats with as many digits as tell them apart.
std::string csv_text(const Samples& samples, const train::SplitPredictions& said, index_t classes) {
  const bool has_labels = !samples.labels.empty();
  fmt::memory_buffer text;
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "id,prediction{}{}{}{}\n", has_labels ? ",label" : "", columns("probability", classes),
                 columns("expert", said.slots), columns("gate_weight", said.slots));
  for (std::size_t n = 0; n < samples.ids.size(); ++n) {
    const auto row = static_cast<index_t>(n);
    fmt::format_to(out, "{},{}", samples.ids[n], said.predicted[row]);
    if (has_labels) fmt::format_to(out, ",{}", samples.labels[n]);
    for (index_t c = 0; c < classes; ++c) fmt::format_to(out, ",{}", said.probabilities[row * classes + c]);
    for (index_t k = 0; k < said.slots; ++k) fmt::format_to(out, ",{}", said.experts[row * said.slots + k]);
    for (index_t k = 0; k < said.slots; ++k)
      fmt::format_to(out, ",{}", said.gate_weights[row * said.slots + k]);
    fmt::format_to(out, "\n");
  }
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
  runtime.start_device(config.run);
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
    run::load_arrays(reader, *model, nullptr);
    model->values_changed();
  });
  const train::SplitPredictions said =
      train::predict(options.split, *loader, *model, resources, options.with_outputs);
  comm::agree(communicator, [&] {
    if (!runtime.is_root()) return;
    warn_of_other_data(reader, dataset);
    const Samples samples(dataset, options.split);
    if (options.as_text) {
      files::replace_file(options.file, csv_text(samples, said, task.classes), "--out=FILE");
    } else {
      write_hdf5(options.file, samples, said, task.classes,
                 {.integers = {{"step", reader.integer("state/step")}},
                  .numbers = {},
                  .texts = {{"checkpoint", file}, {"split", std::string(train::name(options.split))}}});
    }
    std::cout << fmt::format("{}: {} samples, {} classes, {} of {} experts each\n", options.file,
                             samples.ids.size(), task.classes, said.slots, config.moe.experts);
  });
  communicator.barrier();
  return 0;
}

std::string predict_help() {
  return R"(usage: switchyard predict CHECKPOINT|RUN --out=FILE.h5|FILE.csv [--split=test|validation|train] [--outputs=yes]
                          [--checkpoint=best|latest|STEP] [--data.source=SOURCE --data.file=FILE|--data.dir=FOLDER]

Writes what a model says of each sample of a split: ids, prediction (the class), probabilities (of each class), experts
(those that answered, K for each sample) and gate_weights (theirs); labels, where the data have them; with --outputs=yes
expert_outputs, too (samples x K x classes, before any softmax). A .csv file has a column for each number.

The data may be others than the run's, also without labels, and of another source: `switchyard predict RUN
--data.source=npy --data.dir=FOLDER --out=FILE.h5` reads test_samples.npy there. Their scales are those of the run. An id is
what the data say (SPLIT/ids, SPLIT_ids.npy, the column csv.id), or else the sample's place in the file that it is from.
The bytes of the file do not depend on the number of ranks.
)";
}

}  // namespace switchyard::cli
