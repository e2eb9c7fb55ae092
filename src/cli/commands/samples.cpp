// samples: the data of a configuration as an HDF5 file.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iostream>
#include <string>
#include <utility>

#include "base/error.hpp"
#include "checkpoint/checkpoint.hpp"
#include "cli/commands/commands.hpp"
#include "cli/options.hpp"
#include "data/dataset.hpp"
#include "data/sample_file.hpp"
#include "files/regular_file.hpp"
#include "run/config.hpp"
#include "run/load_data.hpp"

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

}  // namespace

int samples(Arguments arguments) {
  const CommandLine line = parse_command_line(arguments, {.schemas = {&run::schema()}, .own = {"out"}});
  const std::string file = out_of(line);
  const run::Config config = parse_run_options(line);
  files::expect_replaceable(file, checkpoint::arrays_mark, "--out=FILE");
  const data::Dataset dataset = run::load_data(config);
  checkpoint::Header header;
  header.texts = {{"config", run::schema().to_ini(config)}};
  for (const data::WrittenArray& array :
       data::write_samples(file, dataset, data::SampleForm::seen, std::move(header)))
    std::cout << fmt::format("{}/{}: {}\n", file, array.path, fmt::join(array.shape, " x "));
  return 0;
}

std::string samples_help() {
  return R"(usage: switchyard samples FILE.ini --out=FILE.h5 [--section.key=value ...]

Writes the samples that a run of FILE.ini would see to an HDF5 file that h5py opens: SPLIT/samples as floats (samples x
channels x height x width), prepared and scaled as the run does it and in its splits; SPLIT/labels and SPLIT/ids (their places in
the files, from 0, or what the data call them), or, of text, SPLIT/tokens and SPLIT/targets (samples x window); and
SPLIT/clusters where the data have them (for fine labels of CIFAR-100: the coarse labels; for text: the files). Nothing is
augmented. `switchyard convert` writes what the files themselves hold.
)";
}

}  // namespace switchyard::cli
