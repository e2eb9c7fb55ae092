// convert: the files of a data set as one HDF5 file that data.source = hdf5 reads.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <iostream>
#include <string>

#include "base/error.hpp"
#include "base/log.hpp"
#include "checkpoint/checkpoint.hpp"
#include "cli/commands/commands.hpp"
#include "cli/found_data.hpp"
#include "cli/options.hpp"
#include "data/dataset.hpp"
#include "data/options.hpp"
#include "data/sample_file.hpp"
#include "files/regular_file.hpp"
#include "run/config.hpp"
#include "run/load_data.hpp"

namespace switchyard::cli {
namespace {

constexpr std::string_view try_this =
    "try `switchyard convert --data.source=csv --data.dir=FOLDER --out=own.h5`";

struct Asked {
  data::Options options;
  data::Labels labels;
};

// What says where the data lie and how they are read. A configuration is not needed: then its defaults are.
Asked asked_of(const CommandLine& line) {
  if (line.positionals.size() > 1)
    throw ConfigError(fmt::format("convert takes one configuration, or none, and {} were given; {}",
                                  line.positionals.size(), try_this));
  run::Config config;
  if (!line.positionals.empty()) config = read_configuration(line.positionals[0]);
  set_data_keys(config, line, "convert");
  data::Options options = run::data_options(config);
  data::validate(options);
  if (!data::has_tables(options))
    throw ConfigError(fmt::format(
        "{} is no source that convert reads (idx, cifar, images, npy, csv and hdf5 are: samples with labels, in files); {}",
        data::describe(options), "`switchyard samples` writes what a run sees of any other"));
  // Of splits and scales the files say nothing: a run of the converted file still takes them as it is told.
  options.normalise = data::Normalise::given;
  options.mean = data::Options().mean;
  options.standard_deviation = data::Options().standard_deviation;
  return {options, run::labels_of(config)};
}

}  // namespace

int convert(Arguments arguments) {
  const CommandLine line = parse_command_line(arguments, {.schemas = {&run::schema()}, .own = {"out"}});
  const std::string file = line.option("out").value_or("");
  if (file.empty())
    throw ConfigError(
        fmt::format("convert was not told where to write (--out is missing or empty); {}", try_this));
  if (!file.ends_with(".h5") && !file.ends_with(".hdf5"))
    throw ConfigError(
        fmt::format("--out={} says another format (convert writes HDF5: .h5 or .hdf5); {}", file, try_this));
  const auto [options, labels] = asked_of(line);
  files::expect_replaceable(file, checkpoint::arrays_mark, "--out=FILE");
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  const data::Dataset dataset = data::load_dataset(options, 0,
                                                   {.purpose = data::Purpose::conversion,
                                                    .labels = labels,
                                                    .spool_folder = folder.empty() ? "." : folder.string()});
  for (const std::string& remark : dataset.remarks()) log::warn("{}", remark);
  for (const data::WrittenArray& array : data::write_samples(file, dataset, data::SampleForm::stored))
    std::cout << fmt::format("{}/{}: {} ({})\n", file, array.path, fmt::join(array.shape, " x "), array.type);
  std::cout << fmt::format(
      "the digest of the data is {}; a run reads them with --data.source=hdf5 --data.file={}\n",
      dataset.identity().digest, file);
  return 0;
}

std::string convert_help() {
  return R"(usage: switchyard convert [FILE.ini] --out=FILE.h5 [--data.source=idx|cifar|images|npy|csv|hdf5 --data.dir=FOLDER ...]

Writes the samples and labels of a data set to one HDF5 file, which data.source = hdf5 reads row by row, also where it is
larger than memory: SPLIT/samples as the files hold them (pixels stay uint8), SPLIT/labels, and SPLIT/clusters, SPLIT/ids and
SPLIT/weights where there are some, for each split that has files, and class_names where classes have some. Nothing is scaled,
no split is made, and no image is derived or prepared: a run of the new file does all of it as it would have of the old ones,
and gives the same bits. `switchyard samples` writes what a run sees instead.

Where labels are real numbers, say so with --model.loss=squared_error. Where the data lie is said by the keys of [data] and of
its source ([csv], [cifar], [images]), in FILE.ini or as options:
  switchyard convert --data.source=csv --data.dir=tables --csv.label=species --out=own.h5
Memory does not grow with the numbers of samples, but with their count; numbers of text, images and compressed files wait in the
folder of FILE.h5, which then needs the space twice. A converted file is replaced, no other one.
)";
}

}  // namespace switchyard::cli
