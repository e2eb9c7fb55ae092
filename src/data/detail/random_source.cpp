// Learnable noise as a source of samples: for benchmarks and tests that need no files.
#include <algorithm>
#include <array>
#include <vector>

#include "base/contract.hpp"
#include "base/philox.hpp"
#include "base/span.hpp"
#include "config/field_table.hpp"
#include "data/detail/source.hpp"

namespace switchyard::data::detail {
namespace {

constexpr index_t block_pixels = 16;  // bytes in a Philox block

// The first counter of a stream: its kind in the top byte, the sample or the class below.
enum class Stream : std::uint64_t { train = 0, validation = 1, test = 2, class_mean = 3 };

std::uint64_t counter(Stream stream, index_t i) {
  return static_cast<std::uint64_t>(stream) << 56 | static_cast<std::uint64_t>(i);
}

Stream stream_of(Split split) {
  if (split == Split::test) return Stream::test;
  return split == Split::train ? Stream::train : Stream::validation;
}

// Learnable noise. A pixel is the mean of its class at that place (48 or 80, drawn once per class and place)
// plus uniform noise in [0, 127]: two classes differ by 32 at half of the places, against a noise of standard
// deviation 37.
class RandomSource final : public SampleSource {
 public:
  RandomSource(const RandomOptions& options, std::uint64_t seed)
      : shape_{1, 1, options.features},
        class_count_(options.classes),
        train_samples_(options.samples),
        seed_(seed) {
    SY_EXPECTS(options.samples >= 1 && options.features >= 1 && options.classes >= 1,
               "random data of {} samples, {} features, {} classes", options.samples, options.features,
               options.classes);
    means_.resize(class_count_ * shape_.features());
    for (index_t c = 0; c < class_count_; ++c) draw_means(c);
  }

  const tensor::SampleShape& shape() const override { return shape_; }
  index_t class_count() const override { return class_count_; }

  bool has_pixels() const override { return true; }
  index_t size(Split split) const override {
    return split == Split::train ? train_samples_ : train_samples_ / 4;
  }

  void fill(const Request& request, tensor::Matrix images) const override {
    const index_t features = shape_.features();
    const PixelTable& normalised = request.normalised.front();
    for (index_t i = 0; i < std::ssize(request.samples); ++i) {
      const std::uint64_t a = counter(stream_of(request.split), request.samples[i]);
      const std::uint8_t* mean = means_.data() + draw_label(a) * features;
      float* out = images.row(i);
      for (index_t first = 0; first < features; first += block_pixels) {
        const auto noise = noise_block(a, first);
        const index_t count = std::min(block_pixels, features - first);
        for (index_t p = 0; p < count; ++p)
          out[first + p] = normalised[mean[first + p] + (noise[as_size(p)] >> 1)];
      }
    }
  }

  void add_content(ContentHash& hash) const override {  // samples are drawn as they are asked for
    const std::array numbers{static_cast<std::uint64_t>(train_samples_), seed_};
    hash.add(std::as_bytes(Span(numbers)));
    hash.add(std::as_bytes(Span(means_)));
  }

  std::int32_t label(Split split, index_t sample) const override {
    return draw_label(counter(stream_of(split), sample));
  }

 private:
  using Block = std::array<std::uint8_t, block_pixels>;

  // Block 0 of a stream is the label's, pixels follow.
  Block noise_block(std::uint64_t a, index_t first_pixel) const {
    const auto block = static_cast<std::uint32_t>(1 + first_pixel / block_pixels);
    const Philox random = Philox::at(seed_, RandomUse::synthetic_data, a, block);
    Block bytes;
    for (std::size_t p = 0; p < bytes.size(); ++p)
      bytes[p] = static_cast<std::uint8_t>(random.word[p / 4] >> (8 * (p % 4)));
    return bytes;
  }

  std::int32_t draw_label(std::uint64_t a) const {
    const std::uint64_t bits = Philox::at(seed_, RandomUse::synthetic_data, a, 0).bits64();
    return static_cast<std::int32_t>(bits % static_cast<std::uint64_t>(class_count_));
  }

  void draw_means(index_t c) {
    for (index_t f = 0; f < shape_.features(); ++f) {
      const Block random = noise_block(counter(Stream::class_mean, c), f);
      const bool high = random[as_size(f % block_pixels)] & 1;
      means_[c * shape_.features() + f] = high ? 80 : 48;
    }
  }

  tensor::SampleShape shape_;
  index_t class_count_;
  index_t train_samples_;
  std::uint64_t seed_;
  Vector<std::uint8_t> means_;  // class_count x features
};

constexpr config::FieldTable<RandomOptions> arithmetic{config::Role::arithmetic};
constexpr std::array fields = {
    arithmetic.integer<&RandomOptions::samples>("samples", 4, config::largest_count,
                                                "for training; a quarter of it for validation and for test",
                                                "samples"),
    arithmetic.integer<&RandomOptions::features>("features", 1, config::largest_count, "numbers in a sample"),
    arithmetic.integer<&RandomOptions::classes>("classes", 2, config::largest_count, "how many"),
};

}  // namespace

SourceKind random_source() {
  return {.section = config::section_at<&Options::random>("random", "data.source = random", fields),
          .describe = [](const Options&) { return std::string("random"); },
          .make = [](const Options& options, std::uint64_t seed) -> std::unique_ptr<const SampleSource> {
            return std::make_unique<RandomSource>(options.random, seed);
          }};
}

}  // namespace switchyard::data::detail
