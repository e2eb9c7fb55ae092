// Folders of JPEG and PNG images as tables of pixels.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "base/name_lines.hpp"
#include "base/span.hpp"
#include "config/field_table.hpp"
#include "config/require.hpp"
#include "data/detail/image_file.hpp"
#include "data/detail/image_folders.hpp"
#include "data/detail/image_scaling.hpp"
#include "data/detail/table_checks.hpp"
#include "data/detail/table_source.hpp"
#include "files/regular_file.hpp"

namespace switchyard::data::detail {
namespace {

namespace fs = std::filesystem;

// "32x48". Nothing for other text, nor for what no image can have.
std::optional<PlaneSize> parsed_size(std::string_view text) {
  PlaneSize size;
  const char* const end = text.data() + text.size();
  const auto height = std::from_chars(text.data(), end, size.height);
  if (height.ec != std::errc() || height.ptr == end || *height.ptr != 'x') return {};
  const auto width = std::from_chars(height.ptr + 1, end, size.width);
  if (width.ec != std::errc() || width.ptr != end) return {};
  const bool is_fine = std::min(size.height, size.width) >= 1 &&
                       std::max(size.height, size.width) <= longest_image_side &&
                       3 * size.height * size.width <= most_image_bytes;
  return is_fine ? std::optional(size) : std::nullopt;
}

void validate(const Options& options) {
  config::require(
      options.images.size.empty() || parsed_size(options.images.size),
      "images.size = {} is no size that is read (HEIGHTxWIDTH in pixels is, each from 1 to {}, and their product up "
      "to {}); try images.size = 32x32",
      options.images.size, longest_image_side, most_image_bytes / 3);
}

// All of a file as bytes.
class Content {
 public:
  explicit Content(const fs::path& file) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    if (!error && size > as_size(most_image_bytes))
      throw DataError(fmt::format("{} has {} bytes (an image has 2^28 at most); make it smaller, or remove it",
                                  file.string(), size));
    text_ = files::read_regular_file(file);
  }
  Span<const std::uint8_t> bytes() const {
    return {reinterpret_cast<const std::uint8_t*>(text_.data()), std::ssize(text_)};
  }

 private:
  std::string text_;
};

class ImageReader {
 public:
  ImageReader(const Options& options, const Reading& reading, const ImageFolders& found)
      : size_given_(parsed_size(options.images.size)), spool_folder_(reading.spool_folder) {
    std::vector<const ImageFiles*> all;
    for (const std::optional<ImageFiles>* split : {&found.train, &found.validation, &found.test}) {
      if (*split) all.push_back(&**split);
    }
    first_ = all.front()->files.front();
    const ImageShape shape = image_shape(Content(first_).bytes(), first_.string());
    first_size_ = {shape.height, shape.width};
    channels_ = channels_of(options.images.channels, all);
    if (!spool_folder_.empty()) return;
    index_t count = 0;
    for (const ImageFiles* const images : all) count += std::ssize(images->files);
    const PlaneSize size = size_given_.value_or(first_size_);
    expect_memory(
        count, {channels_, size.height, size.width},
        size_given_ ? "images.size = " + options.images.size : fmt::format("the size of {}", first_.string()));
  }

  Table table(const ImageFiles& images) const {
    const PlaneSize size = size_given_.value_or(first_size_);
    const auto count = std::ssize(images.files);
    NumberSpool spool(spool_folder_, count * channels_ * size.height * size.width);
    for (const fs::path& file : images.files) spool.append(pixels_of(file, size));
    Table table{spool.array(images.folder, NumberType::uint8, {count, channels_, size.height, size.width})};
    if (!images.labels.empty()) table.labels = LabelArray{images.folder, images.labels};
    return table;
  }

 private:
  // Of them all; the first one of colours ends the search.
  static index_t channels_of(ImageChannels wanted, Span<const ImageFiles* const> all) {
    switch (wanted) {
      case ImageChannels::grey:
        return 1;
      case ImageChannels::colour:
        return 3;
      case ImageChannels::automatic:
        break;
    }
    for (const ImageFiles* const images : all) {
      for (const fs::path& file : images->files) {
        if (image_shape(Content(file).bytes(), file.string()).channels == 3) return 3;
      }
    }
    return 1;
  }

  Vector<std::uint8_t> pixels_of(const fs::path& file, PlaneSize size) const {
    const Content content(file);
    const std::string name = file.string();
    const ImageShape shape = image_shape(content.bytes(), name);
    const PlaneSize own{shape.height, shape.width};
    if (!size_given_ && own != first_size_)
      throw DataError(fmt::format(
          "{} has {} x {} pixels, but {} {} x {} (all images of a run have one height and width); set images.size, "
          "for example to {}x{}, to have them resized",
          name, own.height, own.width, first_.string(), first_size_.height, first_size_.width,
          first_size_.height, first_size_.width));
    Vector<std::uint8_t> pixels = image_pixels(content.bytes(), name, channels_);
    if (own == size) return pixels;
    Vector<std::uint8_t> result;
    for (index_t c = 0; c < channels_; ++c) {
      const Vector<std::uint8_t> plane =
          resized(Span<const std::uint8_t>(pixels).subspan(c * shape.pixels(), shape.pixels()), own, size);
      result.insert(result.end(), plane.begin(), plane.end());
    }
    return result;
  }

  std::optional<PlaneSize> size_given_;
  std::string spool_folder_;
  fs::path first_;  // to which the others are compared
  PlaneSize first_size_;
  index_t channels_ = 1;
};

Tables read_tables(const Options& options, const Reading& reading) {
  ImageFolders found = find_images(options.dir, reading);
  const ImageReader reader(options, reading, found);
  Tables tables;
  if (found.train) tables.train = reader.table(*found.train);
  if (found.validation) tables.validation = reader.table(*found.validation);
  if (found.test) tables.test = reader.table(*found.test);
  tables.least_classes = std::ssize(found.classes);
  for (const std::string& name : found.classes) tables.class_names.push_back(printable(name));
  tables.remarks = std::move(found.remarks);
  return tables;
}

constexpr std::array channel_words = {config::Word{ImageChannels::automatic, "auto"},
                                      config::Word{ImageChannels::grey, "1"},
                                      config::Word{ImageChannels::colour, "3"}};
constexpr config::FieldTable<ImageOptions> arithmetic{config::Role::arithmetic};
constexpr std::array fields = {
    config::free_in_evaluation(arithmetic.choice<&ImageOptions::channels, channel_words>(
        "channels",
        "of every image; 1: grey; 3: red, green and blue; auto: 3 if one image has colours, else 1")),
    config::free_in_evaluation(arithmetic.text<&ImageOptions::size>(
        "size", "HEIGHTxWIDTH to which images are resized, as 32x32; empty: all have one size")),
};

}  // namespace

SourceKind image_source() {
  return {.reads_files = true,
          .reads_images = true,
          .divides_files = true,
          .takes_test_samples = true,
          .section = config::section_at<&Options::images>("images", "data.source = images", fields),
          .describe =
              [](const Options& options) {
                const std::string& size = options.images.size;
                return options.dir + (size.empty() ? "" : fmt::format(", resized to {}", size));
              },
          .read_tables = read_tables,
          .validate = validate};
}

}  // namespace switchyard::data::detail
