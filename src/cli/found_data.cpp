#include "cli/found_data.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <regex>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "checkpoint/checkpoint.hpp"
#include "files/regular_file.hpp"
#include "run/config.hpp"

namespace switchyard::cli {
namespace {

namespace fs = std::filesystem;

struct Kind {
  data::Source source;
  const char* files;  // a pattern of the name of one of them
  std::string_view words;
  bool is_folder = false;  // of a split, which holds images of classes
};
constexpr std::array folders = {
    Kind{data::Source::npy, R"((train|test|validation)_samples\.npy)", "train_samples.npy"},
    Kind{data::Source::csv, R"((train|test|validation)\.csv(\.gz)?)", "train.csv"},
    Kind{data::Source::idx, R"((train|t10k)-images[-.]idx[1-4]-[a-z0-9]+(\.gz)?)", "train-images-idx3-ubyte"},
    Kind{data::Source::cifar, R"((data_batch_[1-5]|test_batch|train|test)\.bin(\.gz)?)",
         "data_batch_1.bin or train.bin (CIFAR)"},
    Kind{data::Source::images, "train|test|validation|val", "train/CLASS/*.jpg or *.png", true},
    Kind{data::Source::text, R"([^.].*\.txt(\.gz)?)", "*.txt"}};

std::string all_words() {
  std::vector<std::string_view> words;
  for (const Kind& kind : folders) words.push_back(kind.words);
  return fmt::format("an HDF5 file, or a folder with {}", fmt::join(words, ", "));
}

bool holds_images_of_classes(const fs::path& split) {
  const std::regex image(R"([^.].*\.(jpe?g|png))", std::regex::icase);
  std::error_code error;
  for (fs::directory_iterator of_class(split, error), end; !error && of_class != end;
       of_class.increment(error)) {
    std::error_code ignored;
    for (fs::directory_iterator file(of_class->path(), ignored); !ignored && file != end;
         file.increment(ignored)) {
      if (std::regex_match(file->path().filename().string(), image)) return true;
    }
  }
  return false;
}

data::Options in_folder(const std::string& path) {
  std::vector<const Kind*> found;
  std::error_code error;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    for (const Kind& kind : folders) {
      if (std::regex_match(name, std::regex(kind.files)) && std::ranges::count(found, &kind) == 0 &&
          (!kind.is_folder || holds_images_of_classes(entry->path())))
        found.push_back(&kind);
    }
  }
  if (error)
    throw DataError(fmt::format("{} cannot be looked into ({}); check its permissions", path, error.message()));
  // Text may lie beside any data: a README.
  if (found.size() > 1)
    std::erase_if(found, [](const Kind* kind) { return kind->source == data::Source::text; });
  if (found.empty())
    throw DataError(
        fmt::format("{} holds no data that are known by their names (looked for {}); rename the files, or "
                    "see docs/data.md",
                    path, all_words()));
  if (found.size() > 1)
    throw DataError(fmt::format("{} holds data of two kinds ({} and {}); give each a folder of its own", path,
                                found[0]->words, found[1]->words));
  data::Options options;
  options.source = found[0]->source;
  options.dir = path;
  return options;
}

}  // namespace

data::Options find_data(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return in_folder(path);
  if (const std::string why = files::why_unreadable(path); !why.empty())
    throw DataError(fmt::format("{} cannot be read ({}); give --data={}", path, why, all_words()));
  data::Options options;
  options.file = path;
  if (files::begins_with(path, checkpoint::file_mark))
    throw DataError(
        fmt::format("{} is a checkpoint (a model, and no data); give the data that it learned from, or "
                    "others",
                    path));
  if (files::begins_with(path, checkpoint::tokens_mark)) {
    options.source = data::Source::tokens;
    return options;
  }
  constexpr std::string_view hdf5_mark = "\x89HDF\r\n\x1a\n";
  if (files::begins_with(path, hdf5_mark) || files::begins_with(path, checkpoint::arrays_mark) ||
      path.ends_with(".h5") || path.ends_with(".hdf5")) {
    options.source = data::Source::hdf5;
    return options;
  }
  throw DataError(
      fmt::format("{} is no file of samples that is known (looked for {}); files of text, tables and "
                  "arrays are read from a folder: put it into one, and give that",
                  path, all_words()));
}

void set_data_keys(run::Config& config, const CommandLine& line, std::string_view command) {
  const std::vector<config::Section> sections = data::sections();
  for (const Override& override : line.overrides) {
    const std::string section = override.key.substr(0, override.key.find('.'));
    if (override.key != "model.loss" &&
        std::ranges::none_of(sections, [&](const config::Section& s) { return s.name == section; }))
      throw ConfigError(fmt::format(
          "--{} says nothing about data ({} takes keys of [data], of its sources' sections and model.loss); leave it "
          "out",
          override.key, command));
    run::schema().set(config, override.key, override.value, command_line);
  }
}

}  // namespace switchyard::cli
