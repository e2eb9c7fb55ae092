// IDX files, those of MNIST and Fashion-MNIST or others under such names, as tables.
#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <regex>
#include <set>
#include <string>

#include "base/error.hpp"
#include "data/detail/byte_reader.hpp"
#include "data/detail/table_source.hpp"
#include "data/idx.hpp"

namespace switchyard::data::detail {
namespace {

namespace fs = std::filesystem;

// What MNIST calls it where that is there, or else the one file that is called so but for its dimensions and
// its type, which its name ends in: "train-images-idx2-float". Without .gz. Nothing if there is none.
std::optional<fs::path> find(const fs::path& dir, const std::string& array, const std::string& usual_end) {
  const fs::path usual = dir / (array + usual_end);
  const fs::path dotted = dir / (array + "." + usual_end.substr(1));
  for (const fs::path& file : {usual, dotted}) {
    if (plain_or_compressed(file)) return file;
  }
  const std::regex form(array + R"([-.](idx[1-4]-[a-z0-9]+)(\.gz)?)");
  std::set<std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry(dir, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (std::regex_match(name, form))
      found.insert(name.ends_with(".gz") ? name.substr(0, name.size() - 3) : name);
  }
  if (found.size() > 1)
    throw DataError(fmt::format("{0}/{1} is beside {0}/{2} (one file of an array is read); remove one of them",
                                dir.string(), *found.begin(), *found.rbegin()));
  return found.empty() ? std::nullopt : std::optional(dir / *found.begin());
}

// How many dimensions a name says: "idx3".
int dimensions_of(const fs::path& file) {
  const std::string name = file.filename().string();
  return name[name.rfind("idx") + 3] - '0';
}

std::optional<Table> table_of(const fs::path& dir, const std::string& split, const Reading& reading) {
  constexpr const char* usual_images = "-images-idx3-ubyte";
  constexpr const char* usual_labels = "-labels-idx1-ubyte";
  const std::optional<fs::path> images = find(dir, split + "-images", usual_images);
  if (!images && reading.purpose == Purpose::prediction) return {};
  const fs::path file = images.value_or(dir / (split + usual_images));  // reading says that it is not there
  Table table{read_idx(file, dimensions_of(file), reading.spool_folder)};
  const std::optional<fs::path> labels = find(dir, split + "-labels", usual_labels);
  if (labels || reading.purpose != Purpose::prediction)
    table.labels = read_idx_labels(labels.value_or(dir / (split + usual_labels)));
  return table;
}

Tables read_tables(const Options& options, const Reading& reading) {
  if (options.dir.empty())
    throw ConfigError(
        "data.dir is empty (data.source = idx reads its files from there); set data.dir, for example to "
        "/usr/share/datasets/fashion-mnist, or data.source = random");
  Tables tables{.train = table_of(options.dir, "train", reading),
                .test = table_of(options.dir, "t10k", reading)};
  if (!tables.train && !tables.test) tables.train = table_of(options.dir, "train", {});  // says what is missing
  return tables;
}

}  // namespace

SourceKind idx_source() {
  return {.reads_files = true,
          .reads_images = true,
          .divides_files = true,
          .describe = [](const Options& options) { return options.dir; },
          .read_tables = read_tables};
}

}  // namespace switchyard::data::detail
