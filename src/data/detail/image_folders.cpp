#include "data/detail/image_folders.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "base/span.hpp"
#include "files/regular_file.hpp"

namespace switchyard::data::detail {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 3> read_endings = {".jpg", ".jpeg", ".png"};
// Of images that nobody meant to leave out.
constexpr std::array<std::string_view, 9> other_endings = {".bmp", ".gif",  ".heic", ".jp2", ".ppm",
                                                           ".tif", ".tiff", ".webp", ".avif"};

bool ends_in(const fs::path& file, Span<const std::string_view> endings) {
  std::string ending = file.extension().string();
  for (char& c : ending) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return std::ranges::find(endings, ending) != endings.end();
}

constexpr std::string_view layout = "images of a class lie in a folder of its name";

// What a folder holds, each in the order of names. Hidden things are not in it.
struct Content {
  std::vector<fs::path> images, folders, unread;
};

Content content_of(const fs::path& folder) {
  Content content;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const fs::path& path = entry.path();
    if (path.filename().string().starts_with(".")) continue;
    std::error_code error;
    const bool is_folder = fs::is_directory(path, error);
    if (is_folder) {
      content.folders.push_back(path);
    } else if (ends_in(path, read_endings)) {
      content.images.push_back(path);
    } else if (error || !fs::exists(path, error)) {
      // It could be a folder of images.
      throw DataError(fmt::format("{} leads nowhere ({}); mend the link, or remove it", path.string(),
                                  error ? error.message() : "what it names does not exist"));
    } else if (ends_in(path, other_endings)) {
      content.unread.push_back(path);
    }
  }
  // By their bytes: where the names of files are alike but for their place, so are those of paths.
  for (std::vector<fs::path>* paths : {&content.images, &content.folders, &content.unread})
    std::ranges::sort(*paths, {}, [](const fs::path& path) { return path.native(); });
  return content;
}

void add_remark(Span<const fs::path> unread, std::vector<std::string>& remarks) {
  if (unread.empty()) return;
  remarks.push_back(fmt::format(
      "{}{} not read (JPEG and PNG files in a class's own folder are); convert or move what is a sample",
      unread[0].string(),
      unread.size() == 1 ? " is" : fmt::format(" and {} more beside it are", unread.size() - 1)));
}

// The images of a split by the name of their class, or without.
struct SplitContent {
  std::string folder;
  std::map<std::string, std::vector<fs::path>> classes;
  std::vector<fs::path> without_class;
};

class Finder {
 public:
  Finder(fs::path dir, const Reading& reading) : dir_(std::move(dir)), needs_labels_(reading.needs_labels()) {}

  ImageFolders find() {
    expect_a_split();
    const std::array<std::optional<SplitContent>, 3> splits = {split_if_there("train"), split_of_validation(),
                                                               split_if_there("test")};
    std::map<std::string, std::int64_t> labels;
    for (const std::optional<SplitContent>& split : splits) {
      if (!split) continue;
      for (const auto& [name, files] : split->classes) labels.emplace(name, 0);
    }
    ImageFolders found;
    for (auto& [name, label] : labels) {
      label = std::ssize(found.classes);
      found.classes.push_back(name);
    }
    found.train = files_of(splits[0], labels);
    found.validation = files_of(splits[1], labels);
    found.test = files_of(splits[2], labels);
    found.remarks = std::move(remarks_);
    return found;
  }

 private:
  // Without labels any will do.
  void expect_a_split() const {
    for (const char* const name : {"train", "validation", "val", "test"}) {
      if ((!needs_labels_ || name == std::string_view("train")) && files::is_there(dir_ / name)) return;
    }
    std::error_code error;
    if (!fs::is_directory(dir_, error))
      throw DataError(
          fmt::format("{} is no folder{} (data.source = images reads {}); give it with --data.dir=FOLDER",
                      dir_.string(), files::is_there(dir_) ? "" : ": there is nothing", what_is_read()));
    throw DataError(fmt::format("{} holds no folder 'train' (data.source = images reads {}); {}", dir_.string(),
                                what_is_read(), remedy_without_a_split()));
  }
  std::string remedy_without_a_split() const {
    const fs::path name = dir_.filename();
    if (name == "train" || name == "validation" || name == "val" || name == "test")
      return "set data.dir to the folder above";
    const std::vector<fs::path> folders = content_of(dir_).folders;
    if (std::ranges::any_of(folders, [](const fs::path& folder) { return !content_of(folder).images.empty(); }))
      return fmt::format("move the folders of classes into {}/train", dir_.string());
    return "set data.dir to the folder that holds one";
  }
  std::string what_is_read() const {
    return fmt::format(
        "{}/train/CLASS/*.jpg, *.jpeg and *.png, and the same of test and validation where they are",
        dir_.string());
  }

  std::optional<SplitContent> split_of_validation() {
    if (files::is_there(dir_ / "validation") && files::is_there(dir_ / "val"))
      throw DataError(fmt::format(
          "{0}/val is beside {0}/validation (both are the validation split); remove one", dir_.string()));
    return split_if_there(files::is_there(dir_ / "val") ? "val" : "validation");
  }

  std::optional<SplitContent> split_if_there(const char* name) {
    const fs::path folder = dir_ / name;
    if (!files::is_there(folder)) return {};
    const Content content = content_of(folder);
    add_remark(Span<const fs::path>(content.unread), remarks_);
    expect_alike(folder, content);
    SplitContent split{folder.string(), {}, content.images};
    for (const fs::path& of_class : content.folders) {
      Content inner = content_of(of_class);
      if (inner.images.empty() && needs_labels_)
        throw DataError(fmt::format(
            "{} holds no image (*.jpg, *.jpeg and *.png are read, each class from a folder of its own in "
            "{}); put some into it, or remove it",
            of_class.string(), folder.string()));
      inner.unread.insert(inner.unread.end(), inner.folders.begin(), inner.folders.end());
      add_remark(Span<const fs::path>(inner.unread), remarks_);
      split.classes.emplace(of_class.filename().string(), std::move(inner.images));
    }
    if (split.without_class.empty() &&
        std::ranges::all_of(split.classes, [](const auto& of_class) { return of_class.second.empty(); }))
      throw DataError(
          fmt::format("{} holds no image ({}); put some into it, or remove it", split.folder, layout));
    return split;
  }

  // Images of classes alone, or images without alone.
  void expect_alike(const fs::path& folder, const Content& content) const {
    if (content.images.empty() || (!needs_labels_ && content.folders.empty())) return;
    throw DataError(fmt::format(
        "{} lies in no folder of a class ({} of them); move it into {}/CLASS", content.images.front().string(),
        needs_labels_ ? "labels are the names" : "others of the split do, which have labels by the names",
        folder.string()));
  }

  static std::optional<ImageFiles> files_of(const std::optional<SplitContent>& split,
                                            const std::map<std::string, std::int64_t>& labels) {
    if (!split) return {};
    ImageFiles all{split->folder, split->without_class, {}};
    for (const auto& [name, files] : split->classes) {
      all.files.insert(all.files.end(), files.begin(), files.end());
      all.labels.insert(all.labels.end(), files.size(), labels.at(name));
    }
    return all;
  }

  fs::path dir_;
  bool needs_labels_;
  std::vector<std::string> remarks_;
};

}  // namespace

ImageFolders find_images(const fs::path& dir, const Reading& reading) {
  try {
    return Finder(dir, reading).find();
  } catch (const fs::filesystem_error& error) {
    throw DataError(fmt::format("{} cannot be looked into ({}); check data.dir and permissions",
                                error.path1().string(), error.code().message()));
  }
}

}  // namespace switchyard::data::detail
