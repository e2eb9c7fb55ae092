// The binary files of CIFAR-10 or CIFAR-100 as tables.
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/philox.hpp"
#include "base/span.hpp"
#include "config/field_table.hpp"
#include "data/cifar.hpp"
#include "data/detail/table_source.hpp"

namespace switchyard::data::detail {
namespace {

// An augmentation: the image is flipped left to right or not, padded by 4 on each side with its reflection (the
// edge itself is not repeated), and as much as it was is cut out of that at (top, left): PyTorch's
// RandomHorizontalFlip and RandomCrop(32, padding=4, padding_mode="reflect").
struct FlipCrop {
  static constexpr index_t padding = 4;

  bool flipped;
  index_t top;  // 0 to 2 * padding; at `padding` the image stays in place
  index_t left;
};

// Each of the 2 x 81 with the same probability (to 2^-32), as a function of (seed, epoch, sample).
FlipCrop draw_flip_crop(const Visit& visit, index_t sample) {
  const Philox random = Philox::at(visit.seed, RandomUse::augmentation, static_cast<std::uint64_t>(sample),
                                   static_cast<std::uint32_t>(visit.epoch));
  const auto place = [&](int word) {
    constexpr std::uint64_t places = 2 * FlipCrop::padding + 1;
    return static_cast<index_t>(places * random.word[word] >> 32);
  };
  return {.flipped = random.word[0] >> 31 != 0, .top = place(1), .left = place(2)};
}

// The place in [0, size) whose pixel stands at `place` of the image continued by reflection.
index_t reflect(index_t place, index_t size) {
  if (place < 0) return -place;
  return place < size ? place : 2 * (size - 1) - place;
}

void flip_crop(const FlipCrop& drawn, const std::uint8_t* image, std::uint8_t* result) {
  const auto [channels, height, width] = cifar_shape;
  std::array<index_t, cifar_shape.width> columns;  // where a pixel of the result comes from
  for (index_t x = 0; x < width; ++x) {
    const index_t from = reflect(x + drawn.left - FlipCrop::padding, width);
    columns[as_size(x)] = drawn.flipped ? width - 1 - from : from;
  }
  for (index_t channel = 0; channel < channels; ++channel) {
    for (index_t y = 0; y < height; ++y) {
      const index_t from = reflect(y + drawn.top - FlipCrop::padding, height);
      const std::uint8_t* const row = image + (channel * height + from) * width;
      for (const index_t column : columns) *result++ = row[column];
    }
  }
}

void augmented(const Visit& visit, index_t sample, const std::uint8_t* image, std::uint8_t* result) {
  flip_crop(draw_flip_crop(visit, sample), image, result);
}

// Takes records apart: the memory of all of them becomes that of their pixels.
Table table_of(CifarRecords records, LabelLevel level, const std::string& name) {
  const index_t count = records.count();
  std::vector<std::int64_t> labels, clusters;
  for (index_t row = 0; row < count; ++row) {
    const bool is_fine = level == LabelLevel::fine;
    labels.push_back(is_fine ? records.fine_label(row) : records.coarse_label(row));
    if (records.kind == CifarKind::cifar100 && is_fine) clusters.push_back(records.coarse_label(row));
  }
  constexpr index_t features = cifar_shape.features();
  for (index_t row = 0; row < count; ++row)
    std::memmove(records.bytes.data() + row * features, records.pixels(row), as_size(features));
  records.bytes.resize(as_size(count * features));
  Table table{
      NumberArray(name, NumberType::uint8, {count, cifar_shape.channels, cifar_shape.height, cifar_shape.width},
                  std::move(records.bytes)),
      LabelArray{name, std::move(labels)}};
  if (!clusters.empty()) table.clusters = LabelArray{name, std::move(clusters)};
  return table;
}

index_t classes_of(CifarKind kind, LabelLevel level) {
  if (kind == CifarKind::cifar10) return cifar10_classes;
  return level == LabelLevel::fine ? cifar100_fine_classes : cifar100_coarse_classes;
}

constexpr std::array label_words = {config::Word{LabelLevel::fine, "fine"},
                                    config::Word{LabelLevel::coarse, "coarse"}};
constexpr std::array augment_words = {config::Word{Augmentation::none, "none"},
                                      config::Word{Augmentation::flip_crop, "flip_crop"}};
constexpr config::FieldTable<CifarOptions> arithmetic{config::Role::arithmetic};
constexpr std::array fields = {
    arithmetic.choice<&CifarOptions::labels, label_words>(
        "labels", "of CIFAR-100, the 100 fine or the 20 coarse ones; fine: the coarse one is the cluster"),
    arithmetic.choice<&CifarOptions::augment, augment_words>(
        "augment",
        "of training images; flip_crop: flipped or not, then 32x32 of the image padded by 4 with its reflection"),
};

Tables read_tables(const Options& options, const Reading& /*reading*/) {
  if (options.dir.empty())
    throw ConfigError("data.dir is empty (data.source = cifar reads its files from there); set data.dir");
  Cifar files = read_cifar(options.dir);
  if (files.kind == CifarKind::cifar10 && options.cifar.labels == LabelLevel::coarse)
    throw ConfigError(fmt::format(
        "cifar.labels = coarse but {} holds CIFAR-10 (only CIFAR-100 has coarse labels); remove it, or "
        "set data.dir to CIFAR-100",
        options.dir));
  const LabelLevel level = options.cifar.labels;
  Tables tables;
  tables.train = table_of(std::move(files.train), level, options.dir + ": training images");
  tables.test = table_of(std::move(files.test), level, options.dir + ": test images");
  tables.least_classes = classes_of(files.kind, level);
  if (tables.train->clusters) tables.least_clusters = cifar100_coarse_classes;
  if (options.cifar.augment == Augmentation::flip_crop) tables.augment = augmented;
  return tables;
}

}  // namespace

SourceKind cifar_source() {
  return {.reads_files = true,
          .reads_images = true,
          .divides_files = true,
          .section = config::section_at<&Options::cifar>("cifar", "data.source = cifar", fields),
          .describe =
              [](const Options& options) {
                return options.dir +
                       (options.cifar.augment == Augmentation::flip_crop ? ", flipped and cropped" : "");
              },
          .read_tables = read_tables};
}

}  // namespace switchyard::data::detail
