// The clustered patches of Chen et al. 2022 as a source of samples.
#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <vector>

#include "base/contract.hpp"
#include "base/philox.hpp"
#include "base/span.hpp"
#include "config/field_table.hpp"
#include "config/require.hpp"
#include "data/detail/source.hpp"
#include "device/buffer.hpp"

namespace switchyard::data::detail {
namespace {

// The first counter of a stream: its kind in the top byte, the sample or the vector below.
enum class Stream : std::uint64_t { train = 0, test = 1, vectors = 2 };

// Numbers of one sample or vector, in the order in which they are asked for.
class Draws {
 public:
  Draws(std::uint64_t seed, Stream stream, index_t i)
      : seed_(seed), counter_(static_cast<std::uint64_t>(stream) << 56 | static_cast<std::uint64_t>(i)) {}

  // Uniform in [0, 1).
  double uniform() {
    if (half_ == 2) {
      block_ = Philox::at(seed_, RandomUse::synthetic_data, counter_, next_block_++);
      half_ = 0;
    }
    return block_.uniform64(half_++);
  }
  double uniform(double min, double max) { return min + (max - min) * uniform(); }
  index_t below(index_t n) { return std::min(n - 1, static_cast<index_t>(uniform() * static_cast<double>(n))); }
  double sign() { return uniform() < 0.5 ? -1.0 : 1.0; }
  // Standard normal, both of a pair.
  double normal() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    const double u = uniform();
    const BoxMuller pair(u, uniform());
    spare_ = pair.radius * std::sin(pair.angle);
    has_spare_ = true;
    return pair.radius * std::cos(pair.angle);
  }

 private:
  std::uint64_t seed_;
  std::uint64_t counter_;
  Philox block_{};
  std::uint32_t next_block_ = 0;
  int half_ = 2;
  double spare_ = 0;
  bool has_spare_ = false;
};

using Direction = Vector<double>;

double dot(const Direction& a, const Direction& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// `count` orthonormal vectors: Gram-Schmidt over normal draws. Projecting twice leaves rounding errors only.
std::vector<Direction> draw_orthonormal(std::uint64_t seed, index_t count, index_t size) {
  SY_EXPECTS(count <= size, "{} orthonormal vectors of {} numbers", count, size);
  std::vector<Direction> vectors;
  for (index_t i = 0; i < count; ++i) {
    Draws draws(seed, Stream::vectors, i);
    Direction v(size);
    for (double& value : v) value = draws.normal();
    for (int pass = 0; pass < 2; ++pass) {
      for (const Direction& other : vectors) {
        const double along = dot(v, other);
        for (std::size_t j = 0; j < v.size(); ++j) v[j] -= along * other[j];
      }
    }
    const double norm = std::sqrt(dot(v, v));
    for (double& value : v) value /= norm;
    vectors.push_back(std::move(v));
  }
  return vectors;
}

struct Samples {
  device::Buffer<float> rows;  // [samples, patches * patch size]
  Vector<std::int32_t> labels;
  Vector<std::int32_t> clusters;
};

// Definition 3.1 of Chen et al. 2022 with uniform draws: a pure function of (seed, split, sample), held as
// floats. A row is P patches of d numbers; groups are clusters; classes are y = -1 and y = +1. No validation
// samples.
class ClusterSource final : public SampleSource {
 public:
  ClusterSource(const ClusterOptions& options, std::uint64_t seed)
      : options_(options),
        seed_(seed),
        shape_{1, options.patches, options.patch_size},
        vectors_(draw_orthonormal(seed, 2 * options.count, options.patch_size)),
        train_(draw(Stream::train)),
        test_(draw(Stream::test)) {}

  const tensor::SampleShape& shape() const override { return shape_; }
  index_t class_count() const override { return 2; }
  index_t group_count() const override { return options_.count; }
  index_t size(Split split) const override { return split == Split::validation ? 0 : options_.samples; }

  const float* rows(Split split) const override { return size(split) == 0 ? nullptr : of(split).rows.data(); }
  index_t held_bytes() const override {
    return static_cast<index_t>(sizeof(float)) * (train_.rows.count() + test_.rows.count());
  }
  void fill(const Request& request, tensor::Matrix rows) const override {
    const float* const all = of(request.split).rows.data();
    for (index_t i = 0; i < std::ssize(request.samples); ++i) {
      const float* const from = all + request.samples[i] * shape_.features();
      std::copy_n(from, shape_.features(), rows.row(i));
    }
  }
  void add_content(ContentHash& hash) const override {
    for (const Samples* samples : {&train_, &test_}) {
      hash.add(std::as_bytes(samples->rows.span()));
      hash.add(std::as_bytes(Span(samples->labels)));
      hash.add(std::as_bytes(Span(samples->clusters)));
    }
  }
  std::int32_t label(Split split, index_t sample) const override { return of(split).labels[sample]; }
  std::int32_t group(Split split, index_t sample) const override { return of(split).clusters[sample]; }

 private:
  const Samples& of(Split split) const { return split == Split::test ? test_ : train_; }

  Samples draw(Stream stream) const {
    SY_EXPECTS(options_.count >= 2 && options_.patches >= 3, "{} clusters, {} patches", options_.count,
               options_.patches);
    const index_t count = options_.samples;
    Samples samples{device::Buffer<float>(count * shape_.features()), Vector<std::int32_t>(count),
                    Vector<std::int32_t>(count)};
    for (index_t n = 0; n < count; ++n) {
      float* const row = samples.rows.data() + n * shape_.features();
      draw_sample(Draws(seed_, stream, n), row, samples.labels[n], samples.clusters[n]);
    }
    return samples;
  }

  // Definition 3.1: the patches y alpha v_k, beta c_k, epsilon gamma v_k' and P - 3 of noise, shuffled.
  void draw_sample(Draws draws, float* row, std::int32_t& label, std::int32_t& cluster) const {
    const index_t k = draws.below(options_.count);
    const index_t other = (k + 1 + draws.below(options_.count - 1)) % options_.count;
    const double y = draws.sign();
    const double epsilon = draws.sign();
    const double alpha = draws.uniform(options_.signal_min, options_.signal_max);
    const double beta = draws.uniform(options_.center_min, options_.center_max);
    const double gamma = draws.uniform(options_.noise_min, options_.noise_max);
    label = y > 0 ? 1 : 0;
    cluster = static_cast<std::int32_t>(k);

    const index_t patches = options_.patches;
    const index_t size = options_.patch_size;
    const auto write = [&](index_t patch, double factor, index_t vector) {
      const Direction& v = vectors_[vector];
      for (index_t i = 0; i < size; ++i)
        row[patch * size + i] = static_cast<float>(options_.scale * factor * v[i]);
    };
    write(0, y * alpha, k);
    write(1, beta, options_.count + k);
    write(2, epsilon * gamma, other);
    const double deviation = options_.patch_noise / std::sqrt(static_cast<double>(size));
    for (index_t i = 3 * size; i < patches * size; ++i)
      row[i] = static_cast<float>(options_.scale * deviation * draws.normal());
    // Fisher and Yates.
    for (index_t p = patches - 1; p > 0; --p) {
      const index_t q = draws.below(p + 1);
      if (q != p) std::swap_ranges(row + p * size, row + (p + 1) * size, row + q * size);
    }
  }

  ClusterOptions options_;
  std::uint64_t seed_;
  tensor::SampleShape shape_;
  Vector<Direction> vectors_;  // label signals v_1..v_K, then cluster centres c_1..c_K
  Samples train_;
  Samples test_;
};

constexpr config::FieldTable<ClusterOptions> arithmetic{config::Role::arithmetic};
constexpr std::array fields = {
    arithmetic.integer<&ClusterOptions::count>("count", 2, 1'000'000, "clusters (K)"),
    arithmetic.integer<&ClusterOptions::patches>("patches", 3, 1'000'000, "of a sample (P)"),
    arithmetic.integer<&ClusterOptions::patch_size>("patch_size", 4, 1'000'000,
                                                    "numbers in a patch (d), at least 2 K"),
    arithmetic.integer<&ClusterOptions::samples>("samples", 1, config::largest_count,
                                                 "for training, and as many for test", "samples"),
    arithmetic.number<&ClusterOptions::signal_min>("signal_min", config::above_zero,
                                                   "feature signal (alpha), uniform from"),
    arithmetic.number<&ClusterOptions::signal_max>("signal_max", config::above_zero, "... to"),
    arithmetic.number<&ClusterOptions::center_min>("center_min", config::above_zero,
                                                   "cluster centre (beta), uniform from"),
    arithmetic.number<&ClusterOptions::center_max>("center_max", config::above_zero, "... to"),
    arithmetic.number<&ClusterOptions::noise_min>("noise_min", config::above_zero,
                                                  "feature noise (gamma), uniform from"),
    arithmetic.number<&ClusterOptions::noise_max>("noise_max", config::above_zero, "... to"),
    arithmetic.number<&ClusterOptions::patch_noise>("patch_noise", config::not_negative,
                                                    "norm of a random patch (sigma_p)"),
    arithmetic.number<&ClusterOptions::scale>("scale", config::above_zero, "multiplies every number"),
};

void validate_clusters(const Options& options) {
  const ClusterOptions& clusters = options.clusters;
  config::require(
      clusters.patch_size >= 2 * clusters.count,
      "clusters.patch_size = {} is below 2 x {} clusters (signals and centres are orthogonal); raise "
      "it, or lower clusters.count",
      clusters.patch_size, clusters.count);
  const auto range = [](const char* name, double min, double max) {
    config::require(
        min <= max,
        "clusters.{0}_min = {1} is above clusters.{0}_max = {2} (numbers are drawn between them); swap them",
        name, min, max);
  };
  range("signal", clusters.signal_min, clusters.signal_max);
  range("center", clusters.center_min, clusters.center_max);
  range("noise", clusters.noise_min, clusters.noise_max);
}

}  // namespace

SourceKind cluster_source() {
  return {
      .has_pixels = false,
      .section = config::section_at<&Options::clusters>("clusters", "data.source = clusters", fields),
      .describe =
          [](const Options& options) { return fmt::format("{} clusters of patches", options.clusters.count); },
      .make = [](const Options& options, std::uint64_t seed) -> std::unique_ptr<const SampleSource> {
        return std::make_unique<ClusterSource>(options.clusters, seed);
      },
      .validate = validate_clusters};
}

}  // namespace switchyard::data::detail
