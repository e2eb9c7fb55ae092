// samples: the data of a configuration as an HDF5 file.
#include <fmt/format.h>

#include <iostream>
#include <numeric>
#include <vector>

#include "base/error.hpp"
#include "base/span.hpp"
#include "checkpoint/checkpoint.hpp"
#include "cli/commands/commands.hpp"
#include "cli/options.hpp"
#include "data/dataset.hpp"
#include "files/regular_file.hpp"
#include "run/config.hpp"
#include "run/load_data.hpp"
#include "train/evaluation.hpp"

namespace switchyard::cli {
namespace {

std::string out_of(const CommandLine& line) {
  std::string file = line.option("out").value_or("");
  if (file.empty()) {
    throw ConfigError(
        "samples was not told where to write (--out is missing or empty); try `switchyard samples FILE.ini "
        "--out=samples.h5`");
  }
  return file;
}

// One split's arrays and the memory that they point to.
struct SplitArrays {
  Vector<float> rows;
  std::vector<std::int64_t> labels, ids, tokens, targets, clusters;

  SplitArrays(const data::Dataset& dataset, data::Split split) {
    Vector<index_t> samples(dataset.size(split));
    std::iota(samples.begin(), samples.end(), index_t{0});
    if (dataset.window() > 0) {
      take_tokens(dataset, split, samples);
    } else {
      take_rows(dataset, split, samples);
    }
    if (dataset.group_count() == 0) return;
    Vector<std::int32_t> numbers(samples.size());
    dataset.fill_groups(split, samples, numbers);
    clusters.assign(numbers.begin(), numbers.end());
  }

  void take_rows(const data::Dataset& dataset, data::Split split, Span<const index_t> samples) {
    const auto count = std::ssize(samples);
    const index_t features = dataset.shape().features();
    rows.resize(count * features);
    dataset.fill(split, samples, {rows.data(), count, features});
    Vector<std::int32_t> numbers(count);
    dataset.fill_labels(split, samples, numbers);
    labels.assign(numbers.begin(), numbers.end());
    for (const index_t sample : samples) ids.push_back(dataset.id(split, sample));
  }

  void take_tokens(const data::Dataset& dataset, data::Split split, Span<const index_t> samples) {
    Vector<std::int32_t> now(std::ssize(samples) * dataset.window()), next(now.size());
    dataset.fill_tokens(split, samples, now, next);
    tokens.assign(now.begin(), now.end());
    targets.assign(next.begin(), next.end());
  }

  void add_to(std::vector<checkpoint::Slice>& arrays, data::Split split, const data::Dataset& dataset) {
    const index_t count = dataset.size(split);
    const auto add = [&](std::string_view name, checkpoint::DType type, tensor::Shape dimensions, void* data) {
      const IndexRange all = checkpoint::all_elements(dimensions);
      arrays.push_back({fmt::format("{}/{}", train::name(split), name), type, std::move(dimensions), all,
                        static_cast<std::byte*>(data)});
    };
    if (dataset.window() > 0) {
      add("tokens", checkpoint::DType::int64, {count, dataset.window()}, tokens.data());
      add("targets", checkpoint::DType::int64, {count, dataset.window()}, targets.data());
    } else {
      const tensor::SampleShape& shape = dataset.shape();
      add("samples", checkpoint::DType::float32, {count, shape.channels, shape.height, shape.width},
          rows.data());
      add("labels", checkpoint::DType::int64, {count}, labels.data());
      add("ids", checkpoint::DType::int64, {count}, ids.data());
    }
    if (!clusters.empty()) add("clusters", checkpoint::DType::int64, {count}, clusters.data());
  }
};

}  // namespace

int samples(Arguments arguments) {
  const CommandLine line = parse_command_line(arguments, {.schemas = {&run::schema()}, .own = {"out"}});
  const std::string file = out_of(line);
  const run::Config config = parse_run_options(line);
  files::expect_replaceable(file, checkpoint::arrays_mark, "--out=FILE");
  const data::Dataset dataset = run::load_data(config);
  std::vector<std::unique_ptr<SplitArrays>> splits;
  std::vector<checkpoint::Slice> arrays;
  for (const data::Split split : {data::Split::train, data::Split::validation, data::Split::test}) {
    if (dataset.size(split) == 0) continue;
    splits.push_back(std::make_unique<SplitArrays>(dataset, split));
    splits.back()->add_to(arrays, split, dataset);
  }
  checkpoint::Header header;
  header.texts = {{"config", run::schema().to_ini(config)}};
  checkpoint::write_arrays(file, header, arrays);
  for (const checkpoint::Slice& array : arrays)
    std::cout << fmt::format("{}/{}: {}\n", file, array.path, fmt::join(array.shape, " x "));
  return 0;
}

std::string samples_help() {
  return "usage: switchyard samples FILE.ini --out=FILE.h5 [--section.key=value ...]\n\n"
         "Writes the samples that a run of FILE.ini would see to an HDF5 file that h5py opens: SPLIT/samples as "
         "floats\n"
         "(samples x channels x height x width), SPLIT/labels and SPLIT/ids (their places in the files, from 0, or what\n"
         "the data call them), or, of text, SPLIT/tokens and SPLIT/targets\n"
         "(samples x window); and SPLIT/clusters where the data have them (for fine labels of CIFAR-100: the\n"
         "coarse labels; for text: the files). Nothing is augmented.\n";
}

}  // namespace switchyard::cli
