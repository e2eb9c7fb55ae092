// The binary files of CIFAR-10 or CIFAR-100 as a source of samples.
#include <fmt/format.h>

#include <array>
#include <span>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "data/cifar.hpp"
#include "data/detail/file_split.hpp"
#include "data/detail/flip_crop.hpp"
#include "data/detail/pixels.hpp"
#include "data/detail/sample_source.hpp"

namespace switchyard::data::detail {
namespace {

class CifarSource final : public SampleSource {
 public:
  CifarSource(Cifar files, const config::Data& config)
      : files_(std::move(files)),
        labels_(config.labels),
        augment_(config.augment),
        split_(config, labels_of(files_.train), files_.test.count(), config.dir) {}

  const tensor::SampleShape& shape() const override { return cifar_shape; }
  index_t class_count() const override {
    if (files_.kind == CifarKind::cifar10) return cifar10_classes;
    return labels_ == config::LabelLevel::fine ? cifar100_fine_classes : cifar100_coarse_classes;
  }
  index_t size(Split split) const override { return split_.size(split); }
  index_t group_count() const override {
    return files_.kind == CifarKind::cifar100 && labels_ == config::LabelLevel::fine ? cifar100_coarse_classes
                                                                                     : 0;
  }

  void fill(const Request& request, tensor::Matrix images) const override {
    const CifarRecords& records = of(request.split);
    const bool augmented = request.visit && augment_ == config::Augmentation::flip_crop;
    std::array<std::uint8_t, cifar_shape.features()> changed;
    const auto pixels = [&](std::size_t i) {
      return records.pixels(split_.row(request.split, request.samples[i]));
    };
    for (std::size_t i = 0; i < request.samples.size(); ++i) {
      if (i + 1 < request.samples.size()) prefetch(pixels(i + 1), cifar_shape.features());
      const std::uint8_t* image = pixels(i);
      if (augmented) {
        flip_crop(draw_flip_crop(*request.visit, request.samples[i]), cifar_shape, image, changed.data());
        image = changed.data();
      }
      normalise(image, request.normalised, images.row(static_cast<index_t>(i)));
    }
  }

  void add_content(ContentHash& hash) const override {
    for (const CifarRecords* records : {&files_.train, &files_.test})
      hash.add(std::as_bytes(std::span(records->bytes)));
  }

  std::int32_t label(Split split, index_t sample) const override {
    return label_of(of(split), split_.row(split, sample));
  }
  std::int32_t group(Split split, index_t sample) const override {
    return group_count() == 0 ? 0 : of(split).coarse_label(split_.row(split, sample));
  }

 private:
  std::int32_t label_of(const CifarRecords& records, index_t row) const {
    return labels_ == config::LabelLevel::fine ? records.fine_label(row) : records.coarse_label(row);
  }
  std::vector<std::int32_t> labels_of(const CifarRecords& records) const {
    std::vector<std::int32_t> labels(static_cast<std::size_t>(records.count()));
    for (std::size_t row = 0; row < labels.size(); ++row)
      labels[row] = label_of(records, static_cast<index_t>(row));
    return labels;
  }

  static void normalise(const std::uint8_t* image, std::span<const PixelTable> tables, float* out) {
    constexpr index_t plane = cifar_shape.height * cifar_shape.width;
    for (index_t c = 0; c < cifar_shape.channels; ++c)
      look_up(image + c * plane, plane, tables[static_cast<std::size_t>(c)], out + c * plane);
  }

  const CifarRecords& of(Split split) const { return split == Split::test ? files_.test : files_.train; }

  Cifar files_;
  config::LabelLevel labels_;
  config::Augmentation augment_;
  FileSplit split_;
};

}  // namespace

std::unique_ptr<const SampleSource> load_cifar_source(const config::Data& config) {
  if (config.dir.empty())
    throw ConfigError("data.dir is empty (data.source = cifar reads its files from there); set data.dir");
  Cifar files = read_cifar(config.dir);
  if (files.kind == CifarKind::cifar10 && config.labels == config::LabelLevel::coarse)
    throw ConfigError(fmt::format(
        "data.labels = coarse but {} holds CIFAR-10 (only CIFAR-100 has coarse labels); remove it, or "
        "set data.dir to CIFAR-100",
        config.dir));
  return std::make_unique<CifarSource>(std::move(files), config);
}

}  // namespace switchyard::data::detail
