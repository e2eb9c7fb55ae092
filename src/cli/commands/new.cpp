// new: a configuration for data that are there.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <string>

#include "base/error.hpp"
#include "base/log.hpp"
#include "cli/commands/commands.hpp"
#include "cli/found_data.hpp"
#include "cli/options.hpp"
#include "console/terminal.hpp"
#include "data/dataset.hpp"
#include "data/options.hpp"
#include "files/regular_file.hpp"
#include "files/replacement.hpp"
#include "model/heads/table.hpp"
#include "run/config.hpp"
#include "run/load_data.hpp"
#include "run/validate.hpp"

namespace switchyard::cli {
namespace {

constexpr std::string_view try_this = "switchyard new own --data=own.h5";

struct Asked {
  std::string file;  // NAME.ini
  std::string run;   // the run folder
  run::Config config;
};

Asked asked_of(const CommandLine& line) {
  const std::string& name = only_positional(line, "new takes a name", try_this);
  const std::string data = line.option("data").value_or("");
  if (data.empty())
    throw ConfigError(
        fmt::format("new was not told where the data are (--data is missing or empty); try `{}`", try_this));
  Asked asked;
  asked.file = name.ends_with(".ini") ? name : name + ".ini";
  asked.run = "runs/" + std::filesystem::path(asked.file).stem().string();
  if (files::is_there(asked.file))
    throw DataError(
        fmt::format("{} is there already (a configuration is not replaced); remove it, or choose another name",
                    asked.file));
  asked.config.data = find_data(data);
  set_data_keys(asked.config, line, "new");
  if (asked.config.data.source == data::Source::tokens) {
    asked.config.model.family = model::Family::transformer;
    asked.config.model.transformer.window = 256;
  }
  return asked;
}

// Steps are small where samples are few.
struct Pace {
  index_t batch;
  index_t epochs;
  index_t warmup;

  Pace(index_t samples, index_t largest_batch) {
    batch = largest_batch;
    while (batch > 32 && samples / batch < 40) batch /= 2;
    batch = std::clamp<index_t>(batch, 1, samples);
    const index_t steps = (samples + batch - 1) / batch;
    epochs = std::clamp<index_t>(2000 / steps, 10, 100);
    warmup = std::min<index_t>(50, steps * epochs / 10);
  }
};

std::string train_section(const Pace& pace) {
  return fmt::format(
      "\n[train]\nbatch_size = {}{}\nepochs = {}            # the checkpoint that is best on validation is kept, too\n",
      pace.batch, pace.batch >= 256 ? "\nshards = 8             # up to eight ranks have samples" : "",
      pace.epochs);
}

// The lines that name the data, with what else the line gave of them.
std::string data_section(const run::Config& config, const std::string& more) {
  const run::Config defaults;
  std::string text = "\n[data]\n", section = "data";
  for (const config::Key& key : run::schema().keys()) {
    const std::size_t dot = key.name.find('.');
    const std::string of = key.name.substr(0, dot);
    if (std::ranges::none_of(data::sections(), [&](const config::Section& s) { return s.name == of; }))
      continue;
    const std::string value = run::schema().text(config, key);
    if (value == run::schema().text(defaults, key) && key.name != "data.source") continue;
    if (of != section) {
      if (section == "data") text += more;
      text += fmt::format("\n[{}]\n", of);
      section = of;
    }
    text += fmt::format("{} = {}\n", key.name.substr(dot + 1), value);
  }
  return section == "data" ? text + more : text;
}

// Convolutions with pooling until at most 8 x 8 are left, then a dense layer.
std::string image_network(tensor::SampleShape shape, index_t channels, index_t units) {
  std::string text;
  const auto side = [&] { return std::min(shape.height, shape.width); };
  if (shape.channels <= 4 && side() >= 8) {
    text = fmt::format("conv:{} relu max_pool ", channels);
    shape = {channels, (shape.height - 2) / 2, (shape.width - 2) / 2};
  }
  while (side() > 8) {
    channels *= 2;
    text += fmt::format("padded_conv:{} relu max_pool ", channels);
    shape = {channels, shape.height / 2, shape.width / 2};
  }
  return text + fmt::format("dense:{} relu ", units);
}

// What the line did not say of scales.
std::string normalisation(const data::Dataset& dataset, const data::Options& options) {
  const data::Options plain;
  std::string text;
  if (options.normalise == plain.normalise && options.mean == plain.mean &&
      options.standard_deviation == plain.standard_deviation) {
    text =
        dataset.has_pixels()
            ? "normalise = channel    # pixels of each channel by their mean and standard deviation over the training "
              "samples\n"
            : "normalise = feature    # each number of a sample by its mean and standard deviation over the training "
              "samples\n";
  }
  if (dataset.target_count() > 0 && !options.scale_targets)
    text += "scale_targets = yes    # labels, too; predictions and errors are in their own units again\n";
  return text;
}

std::string of_samples(const run::Config& config, const data::Dataset& dataset) {
  const tensor::SampleShape shape = dataset.shape();
  const bool is_image = std::min(shape.height, shape.width) >= 8;
  const Pace pace(dataset.size(data::Split::train), 256);
  const bool is_few = dataset.size(data::Split::train) < 5000;
  const bool of_numbers = dataset.target_count() > 0;
  const std::string_view loss_word = model::kind_of(config.model.loss).name;
  const std::string loss =
      config.model.loss == run::Config().model.loss ? "" : fmt::format("loss = {}\n", loss_word);
  std::string gate = "dense:experts", expert;
  if (is_image) {
    gate = image_network(shape, 8, 64) + gate;
    expert = image_network(shape, 4, 32);
  } else {
    expert = fmt::format("dense:{} relu ", std::clamp<index_t>(shape.features(), 32, 128));
  }
  return data_section(config, normalisation(dataset, config.data)) +
         fmt::format("\n[model]\ngate = {}\nexpert = {}dense:classes\n{}", gate, expert, loss) +
         fmt::format("\n[moe]\nexperts = 8\n{}importance = 0.1       # against experts that nobody asks\n",
                     of_numbers ? "" : "top_k = 2              # experts that see a sample\n") +
         fmt::format(
             "\n[optim]\nname = adamw\nweight_decay = {}\nlearning_rate = {}\nschedule = cosine\n"
             "warmup_steps = {}\n",
             is_few ? "0.3      # few samples are soon learned by heart" : "0.05", is_image ? "1e-3" : "3e-3",
             pace.warmup) +
         train_section(pace);
}

constexpr std::string_view text_mixture =
    "\n[moe]\nexperts = 8\ntop_k = 2              # experts that see a token\n";

std::string of_text(const run::Config& config, const data::Dataset& dataset) {
  const Pace pace(dataset.size(data::Split::train), 64);
  return data_section(config, "") +
         "\n[model]\nfamily = tokens\ngate = dense:experts\nexpert = dense:256 relu dense:width\n"
         "\n[tokens]\nwidth = 64             # of a row of the embedding\nblocks = 2             # each with a mixture\n" +
         std::string(text_mixture) + "importance = 0.01      # against experts that nobody asks\n" +
         fmt::format("\n[optim]\nlearning_rate = 3e-3\nwarmup_steps = {}\nschedule = cosine\n", pace.warmup) +
         train_section(pace);
}

std::string of_tokens(const run::Config& config, const data::Dataset& dataset) {
  const Pace pace(dataset.size(data::Split::train), 32);
  return data_section(config, "") + "\n[model]\nfamily = transformer\n" +
         fmt::format(
             "\n[transformer]\nwidth = 144\nlayers = 4\nheads = 3\nhidden = 384\nwindow = {}           # tokens "
             "of a sample\nmixture_every = 2      # every second layer\n",
             config.model.transformer.window) +
         std::string(text_mixture) + "hidden = 384\nbalance = 0.01         # loads of experts alike\n" +
         fmt::format(
             "\n[optim]\nname = adamw\nlearning_rate = 3e-3\nbeta2 = 0.95\nweight_decay = 0.1\nclip_norm = "
             "2\nwarmup_steps = {}\nschedule = cosine\nfloor = 0.1\n",
             pace.warmup) +
         train_section(pace);
}

std::string found_text(const data::Dataset& dataset) {
  const auto size = [&](data::Split split) { return console::grouped(dataset.size(split)); };
  const std::string samples =
      fmt::format("{} samples for training, {} for validation, {} for test", size(data::Split::train),
                  size(data::Split::validation), size(data::Split::test));
  if (dataset.window() > 0)
    return fmt::format("{}; windows of {} {} (a vocabulary of {}), {} domain(s)", samples, dataset.window(),
                       dataset.counted(), console::grouped(dataset.class_count()), dataset.group_count());
  const tensor::SampleShape& shape = dataset.shape();
  const std::string labels =
      dataset.target_count() > 0
          ? fmt::format("{} {} to learn", dataset.target_count(),
                        dataset.target_count() == 1 ? "number" : "numbers")
          : fmt::format("{} classes (0 to {})", dataset.class_count(), dataset.class_count() - 1);
  return fmt::format("{}; {} x {} x {} {}, {}{}", samples, shape.channels, shape.height, shape.width,
                     dataset.has_pixels() ? "pixels" : "numbers", labels,
                     dataset.group_count() > 0 ? fmt::format(", {} clusters", dataset.group_count()) : "");
}

std::string text_of(const Asked& asked, const data::Dataset& dataset) {
  std::string text = fmt::format(
      "# Written by `switchyard new` for data that it found; docs/configuration.md has every key.\n# {}.\n"
      "#   switchyard train {}\n\n[run]\ndir = {}\n",
      found_text(dataset), asked.file, asked.run);
  if (dataset.window() == 0) return text + of_samples(asked.config, dataset);
  return text +
         (asked.config.model.family == model::Family::transformer ? of_tokens : of_text)(asked.config, dataset);
}

// Prices and ages are whole numbers, too.
void hint_at_numbers(const data::Dataset& dataset) {
  constexpr index_t many = 20, samples_of_a_class = 4;
  if (dataset.window() > 0 || dataset.has_pixels() || dataset.class_count() <= many ||
      dataset.class_count() * samples_of_a_class <= dataset.size(data::Split::train))
    return;
  log::warn(
      "there are {} classes and {} training samples; if the labels are numbers to learn, and no classes, add "
      "--model.loss=squared_error",
      dataset.class_count(), dataset.size(data::Split::train));
}

}  // namespace

int new_configuration(Arguments arguments) {
  const CommandLine line = parse_command_line(arguments, {.schemas = {&run::schema()}, .own = {"data"}});
  const Asked asked = asked_of(line);
  const data::Options options = run::data_options(asked.config);
  data::validate(options);
  const data::Dataset dataset =
      data::load_dataset(options, asked.config.run.seed, {.labels = run::labels_of(asked.config)});
  for (const std::string& remark : dataset.remarks()) log::warn("{}", remark);
  hint_at_numbers(dataset);
  const std::string text = text_of(asked, dataset);
  run::validate(run::parse_config(text, asked.file));
  files::replace_file(asked.file, text, "another name");
  std::cout << fmt::format(
      "{}: {}\nnext:\n  switchyard plan {}      # what it will cost\n  switchyard train {}\n  switchyard report {}\n",
      asked.file, found_text(dataset), asked.file, asked.file, asked.run);
  return 0;
}

std::string new_help() {
  return R"(usage: switchyard new NAME --data=FILE.h5|FOLDER [--csv.label=COLUMN --data.KEY=VALUE ...]
                      [--model.loss=squared_error|gaussian]

Writes NAME.ini, a configuration with comments that trains as it is, for the data that are there: an HDF5 file of samples
and labels, a file of tokens (`switchyard corpus`), or a folder of npy, csv, IDX, CIFAR or text files, or folders of
images (docs/data.md says how they are called). It reads them, says how many samples, which shape and how many classes it found, and chooses a network
that fits (dense layers for rows of numbers, convolutions for images), a mixture of 8 experts of which a sample asks 2, and
scales by what the numbers are. Keys of [data] and of its sources may be given, and are written, too. Where labels are real
numbers to learn, say so with --model.loss. A file that is there is not replaced.
)";
}

}  // namespace switchyard::cli
