// The four IDX files of MNIST or Fashion-MNIST as a source of samples.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/span.hpp"
#include "data/detail/file_split.hpp"
#include "data/detail/pixels.hpp"
#include "data/detail/source.hpp"
#include "data/idx.hpp"

namespace switchyard::data::detail {
namespace {

// One pair of files: the images and their labels, in the files' order.
struct LabelledImages {
  IdxArray images;  // count x height x width
  IdxArray labels;  // count

  index_t count() const { return images.dimensions[0]; }
  std::vector<std::int32_t> classes() const { return {labels.values.begin(), labels.values.end()}; }
  index_t features() const { return images.dimensions[1] * images.dimensions[2]; }
  const std::uint8_t* pixels(index_t row) const { return images.values.data() + row * features(); }
};

LabelledImages read_pair(const std::filesystem::path& dir, const std::string& prefix) {
  LabelledImages pair{read_idx(dir / (prefix + "-images-idx3-ubyte"), 3),
                      read_idx(dir / (prefix + "-labels-idx1-ubyte"), 1)};
  if (pair.labels.dimensions[0] != pair.count())
    throw DataError(fmt::format(
        "{} holds {} images but {} holds {} labels (each image needs one); take both files from "
        "the same data set",
        pair.images.file.string(), pair.count(), pair.labels.file.string(), pair.labels.dimensions[0]));
  return pair;
}

void check_same_size(const LabelledImages& train, const LabelledImages& test) {
  if (train.images.dimensions[1] == test.images.dimensions[1] &&
      train.images.dimensions[2] == test.images.dimensions[2])
    return;
  throw DataError(
      fmt::format("{} holds images of {} x {} pixels but {} of {} x {} (a model takes one size); take all four "
                  "files from the same data set",
                  train.images.file.string(), train.images.dimensions[1], train.images.dimensions[2],
                  test.images.file.string(), test.images.dimensions[1], test.images.dimensions[2]));
}

index_t largest_label(const LabelledImages& pair) {
  return *std::max_element(pair.labels.values.begin(), pair.labels.values.end());
}

class IdxSource final : public SampleSource {
 public:
  IdxSource(LabelledImages train, LabelledImages test, const Options& options)
      : train_(std::move(train)),
        test_(std::move(test)),
        shape_{1, train_.images.dimensions[1], train_.images.dimensions[2]},
        class_count_(1 + std::max(largest_label(train_), largest_label(test_))),
        split_(options, train_.classes(), {.test = test_.count()}, train_.images.file.string()) {}

  const tensor::SampleShape& shape() const override { return shape_; }
  index_t class_count() const override { return class_count_; }
  bool has_pixels() const override { return true; }
  index_t size(Split split) const override { return split_.size(split); }

  void fill(const Request& request, tensor::Matrix images) const override {
    const LabelledImages& pair = pair_of(request.split);
    const index_t features = shape_.features();
    const auto pixels = [&](index_t i) { return pair.pixels(split_.row(request.split, request.samples[i])); };
    for (index_t i = 0; i < std::ssize(request.samples); ++i) {
      if (i + 1 < std::ssize(request.samples)) prefetch(pixels(i + 1), features);
      look_up(pixels(i), features, request.normalised.front(), images.row(i));
    }
  }

  void add_content(ContentHash& hash) const override {
    for (const LabelledImages* pair : {&train_, &test_}) {
      hash.add(std::as_bytes(Span(pair->images.values)));
      hash.add(std::as_bytes(Span(pair->labels.values)));
    }
  }

  std::int64_t id(Split split, index_t sample) const override { return split_.row(split, sample); }
  std::int32_t label(Split split, index_t sample) const override {
    return pair_of(split).labels.values[split_.row(split, sample)];
  }

 private:
  const LabelledImages& pair_of(Split split) const { return split == Split::test ? test_ : train_; }

  LabelledImages train_;
  LabelledImages test_;
  tensor::SampleShape shape_;
  index_t class_count_;
  FileSplit split_;
};

std::unique_ptr<const SampleSource> make(const Options& options, std::uint64_t /*seed*/, Purpose /*purpose*/) {
  if (options.dir.empty())
    throw ConfigError(
        "data.dir is empty (data.source = idx reads its files from there); set data.dir, for example to "
        "/usr/share/datasets/fashion-mnist, or data.source = random");
  LabelledImages train = read_pair(options.dir, "train");
  LabelledImages test = read_pair(options.dir, "t10k");
  check_same_size(train, test);
  return std::make_unique<IdxSource>(std::move(train), std::move(test), options);
}

}  // namespace

SourceKind idx_source() {
  return {.reads_files = true,
          .reads_images = true,
          .divides_files = true,
          .describe = [](const Options& options) { return options.dir; },
          .make = make};
}

}  // namespace switchyard::data::detail
