// The binary files of CIFAR-10 or CIFAR-100 as a source of samples.
#include <fmt/format.h>

#include <array>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/philox.hpp"
#include "base/span.hpp"
#include "config/field_table.hpp"
#include "data/cifar.hpp"
#include "data/detail/file_split.hpp"
#include "data/detail/pixels.hpp"
#include "data/detail/source.hpp"

namespace switchyard::data::detail {
namespace {

using Image = std::array<std::uint8_t, cifar_shape.features()>;

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

void flip_crop(const FlipCrop& drawn, const std::uint8_t* image, Image& result) {
  const auto [channels, height, width] = cifar_shape;
  std::array<index_t, cifar_shape.width> columns;  // where a pixel of the result comes from
  for (index_t x = 0; x < width; ++x) {
    const index_t from = reflect(x + drawn.left - FlipCrop::padding, width);
    columns[as_size(x)] = drawn.flipped ? width - 1 - from : from;
  }
  std::uint8_t* next = result.data();
  for (index_t channel = 0; channel < channels; ++channel) {
    for (index_t y = 0; y < height; ++y) {
      const index_t from = reflect(y + drawn.top - FlipCrop::padding, height);
      const std::uint8_t* const row = image + (channel * height + from) * width;
      for (const index_t column : columns) *next++ = row[column];
    }
  }
}

class CifarSource final : public SampleSource {
 public:
  CifarSource(Cifar files, const Options& options)
      : files_(std::move(files)),
        labels_(options.cifar.labels),
        augment_(options.cifar.augment),
        split_(options, labels_of(files_.train), {.test = files_.test.count()}, options.dir) {}

  const tensor::SampleShape& shape() const override { return cifar_shape; }
  index_t class_count() const override {
    if (files_.kind == CifarKind::cifar10) return cifar10_classes;
    return labels_ == LabelLevel::fine ? cifar100_fine_classes : cifar100_coarse_classes;
  }
  bool has_pixels() const override { return true; }
  index_t size(Split split) const override { return split_.size(split); }
  index_t group_count() const override {
    return files_.kind == CifarKind::cifar100 && labels_ == LabelLevel::fine ? cifar100_coarse_classes : 0;
  }

  bool augments() const override { return augment_ == Augmentation::flip_crop; }
  void fill(const Request& request, tensor::Matrix images) const override {
    const CifarRecords& records = of(request.split);
    const bool augmented = request.visit && augments();
    Image changed;
    const auto pixels = [&](index_t i) {
      return records.pixels(split_.row(request.split, request.samples[i]));
    };
    for (index_t i = 0; i < std::ssize(request.samples); ++i) {
      if (i + 1 < std::ssize(request.samples)) prefetch(pixels(i + 1), cifar_shape.features());
      const std::uint8_t* image = pixels(i);
      if (augmented) {
        flip_crop(draw_flip_crop(*request.visit, request.samples[i]), image, changed);
        image = changed.data();
      }
      normalise(image, request.normalised, images.row(i));
    }
  }

  void add_content(ContentHash& hash) const override {
    for (const CifarRecords* records : {&files_.train, &files_.test})
      hash.add(std::as_bytes(Span(records->bytes)));
  }

  std::int64_t id(Split split, index_t sample) const override { return split_.row(split, sample); }
  std::int32_t label(Split split, index_t sample) const override {
    return label_of(of(split), split_.row(split, sample));
  }
  std::int32_t group(Split split, index_t sample) const override {
    return group_count() == 0 ? 0 : of(split).coarse_label(split_.row(split, sample));
  }

 private:
  std::int32_t label_of(const CifarRecords& records, index_t row) const {
    return labels_ == LabelLevel::fine ? records.fine_label(row) : records.coarse_label(row);
  }
  std::vector<std::int32_t> labels_of(const CifarRecords& records) const {
    Vector<std::int32_t> labels(records.count());
    for (index_t row = 0; row < records.count(); ++row) labels[row] = label_of(records, row);
    return labels;
  }

  static void normalise(const std::uint8_t* image, Span<const PixelTable> tables, float* out) {
    constexpr index_t plane = cifar_shape.height * cifar_shape.width;
    for (index_t c = 0; c < cifar_shape.channels; ++c)
      look_up(image + c * plane, plane, tables[c], out + c * plane);
  }

  const CifarRecords& of(Split split) const { return split == Split::test ? files_.test : files_.train; }

  Cifar files_;
  LabelLevel labels_;
  Augmentation augment_;
  FileSplit split_;
};

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

std::unique_ptr<const SampleSource> make(const Options& options, std::uint64_t /*seed*/, Purpose /*purpose*/) {
  if (options.dir.empty())
    throw ConfigError("data.dir is empty (data.source = cifar reads its files from there); set data.dir");
  Cifar files = read_cifar(options.dir);
  if (files.kind == CifarKind::cifar10 && options.cifar.labels == LabelLevel::coarse)
    throw ConfigError(fmt::format(
        "cifar.labels = coarse but {} holds CIFAR-10 (only CIFAR-100 has coarse labels); remove it, or "
        "set data.dir to CIFAR-100",
        options.dir));
  return std::make_unique<CifarSource>(std::move(files), options);
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
          .make = make};
}

}  // namespace switchyard::data::detail
