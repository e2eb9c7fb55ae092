#include "ops/moe/gaussian.hpp"

#include <cmath>
#include <limits>
#include <numbers>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "conformance/ops/executors.hpp"
#include "numerics/ops/differences.hpp"
#include "support/row_places.hpp"

namespace switchyard::ops {
namespace {

struct Size {
  index_t samples, slots, targets;
  float deviation;
};
const Size sizes[] = {{7, 1, 1, 1.0F}, {5, 4, 1, 0.5F}, {3, 33, 2, 1.5F}, {4, 8, 33, 3.0F}, {0, 2, 3, 1.0F}};

std::string describe(const Size& s) {
  return std::to_string(s.samples) + " samples, " + std::to_string(s.slots) + " slots, " +
         std::to_string(s.targets) + " targets";
}

// One sample in float64: what its loss is a function of.
struct NaiveSample {
  double deviation;
  std::vector<double> rows;         // [K, T]
  std::vector<double> log_weights;  // [K]
  std::vector<double> targets;      // [T]

  // w_i N(d; o_i, s^2 I)
  double joint(std::size_t i) const {
    double joint = std::exp(log_weights[i]);
    for (std::size_t t = 0; t < targets.size(); ++t) {
      const double z = (targets[t] - rows[i * targets.size() + t]) / deviation;
      joint *= std::exp(-z * z / 2) / (deviation * std::sqrt(2 * std::numbers::pi));
    }
    return joint;
  }
  double density() const {
    double sum = 0;
    for (std::size_t i = 0; i < log_weights.size(); ++i) sum += joint(i);
    return sum;
  }
  double loss() const { return -std::log(density()); }
  double mean(std::size_t t) const {
    if (log_weights.size() == 1) return rows[t];
    double sum = 0;
    for (std::size_t i = 0; i < log_weights.size(); ++i)
      sum += std::exp(log_weights[i]) * rows[i * targets.size() + t];
    return sum;
  }
};

struct GaussianData {
  Size size;
  std::vector<float> outputs, log_weights, targets;
  test::RowPlaces<const float> rows;  // into outputs, in an order that is not that of memory

  explicit GaussianData(const Size& size_in)
      : size(size_in),
        outputs(random_values(size.samples * size.slots * size.targets, 1)),
        log_weights(random_values(size.samples * size.slots, 2)),
        targets(random_values(size.samples * size.targets, 3)) {
    const index_t count = size.samples * size.slots;
    for (index_t i = 0; i < count; ++i) rows.push_back(outputs.data() + (count - 1 - i) * size.targets);
    for (index_t n = 0; n < size.samples; ++n) {
      double sum = 0;
      for (index_t i = 0; i < size.slots; ++i) sum += std::exp(log_weights[as_size(n * size.slots + i)]);
      for (index_t i = 0; i < size.slots; ++i)
        log_weights[as_size(n * size.slots + i)] -= static_cast<float>(std::log(sum));
    }
  }
  GaussianData(const GaussianData&) = delete;
  GaussianData& operator=(const GaussianData&) = delete;

  GaussianBatch batch() const {
    return {.slots = size.slots,
            .rows = rows.view(size.targets),
            .log_weights = {log_weights.data(), size.samples, size.slots},
            .targets = {targets.data(), size.samples, size.targets},
            .deviation = size.deviation};
  }
  NaiveSample sample(index_t n) const {
    NaiveSample sample{size.deviation, {}, {}, {}};
    for (index_t i = 0; i < size.slots; ++i) {
      const float* const row = rows[as_size(n * size.slots + i)];
      sample.rows.insert(sample.rows.end(), row, row + size.targets);
      sample.log_weights.push_back(log_weights[as_size(n * size.slots + i)]);
    }
    const float* const target = targets.data() + n * size.targets;
    sample.targets.assign(target, target + size.targets);
    return sample;
  }
};

struct GaussianRun {
  std::vector<float> losses, posteriors, mean, d_outputs, d_log_weights;  // d_outputs: slot by slot

  GaussianRun(device::Context& context, const GaussianData& data, float scale)
      : losses(as_size(data.size.samples)),
        posteriors(data.log_weights.size(), -7.0F),
        mean(data.targets.size(), -7.0F),
        d_outputs(data.outputs.size(), -7.0F),
        d_log_weights(data.log_weights.size(), -7.0F) {
    const Size& s = data.size;
    const tensor::Matrix h(posteriors.data(), s.samples, s.slots);
    gaussian_forward(context, data.batch(), {losses, h, {mean.data(), s.samples, s.targets}});
    test::RowPlaces<float> d_rows;
    for (index_t i = 0; i < s.samples * s.slots; ++i) d_rows.push_back(d_outputs.data() + i * s.targets);
    gaussian_backward(context, data.batch(), h, scale,
                      {d_rows.view(s.targets), {d_log_weights.data(), s.samples, s.slots}});
  }
};

// Exponents reach about 10 and are sums of up to 33 terms: off by a few 1e-6.
constexpr double relative = 1e-5;

TEST(Gaussian, equals_the_reference_forward_and_its_differences_backward) {
  device::Context context(1);
  for (const Size& size : sizes) {
    SCOPED_TRACE(describe(size));
    const GaussianData data(size);
    const float scale = 0.25F;
    const GaussianRun got(context, data, scale);
    for (index_t n = 0; n < size.samples; ++n) {
      NaiveSample sample = data.sample(n);
      ASSERT_NEAR(got.losses[as_size(n)], sample.loss(), relative * (1 + std::abs(sample.loss()))) << n;
      for (index_t t = 0; t < size.targets; ++t)
        ASSERT_NEAR(got.mean[as_size(n * size.targets + t)], sample.mean(as_size(t)), relative) << n;
      for (index_t i = 0; i < size.slots; ++i)
        ASSERT_NEAR(got.posteriors[as_size(n * size.slots + i)], sample.joint(as_size(i)) / sample.density(),
                    relative);
      const auto loss = [&] { return scale * sample.loss(); };
      const std::vector<double> d_rows = testing::central_differences(sample.rows, loss);
      for (std::size_t i = 0; i < d_rows.size(); ++i)
        ASSERT_NEAR(got.d_outputs[as_size(n * size.slots * size.targets) + i], d_rows[i], relative)
            << "sample " << n << ", place " << i;
      const std::vector<double> d_weights = testing::central_differences(sample.log_weights, loss);
      for (std::size_t i = 0; i < d_weights.size(); ++i)
        ASSERT_NEAR(got.d_log_weights[as_size(n * size.slots) + i], d_weights[i], relative)
            << "sample " << n << ", slot " << i;
    }
  }
}

TEST(Gaussian, has_the_same_bits_on_every_executor) {
  for (const Size& size : sizes) {
    const GaussianData data(size);
    on_every_executor(describe(size), [&](device::Context& context) {
      const GaussianRun got(context, data, 0.1F);
      std::vector<float> all = got.losses;
      for (const auto* part : {&got.posteriors, &got.mean, &got.d_outputs, &got.d_log_weights})
        all.insert(all.end(), part->begin(), part->end());
      return all;
    });
  }
}

// Frozen experts want none.
TEST(Gaussian, gives_the_weights_their_gradient_without_the_rows) {
  const GaussianData data(sizes[1]);
  device::Context context(1);
  const GaussianRun with_rows(context, data, 0.1F);
  std::vector<float> d_log_weights(data.log_weights.size(), -7.0F);
  const tensor::ConstMatrix h(with_rows.posteriors.data(), data.size.samples, data.size.slots);
  gaussian_backward(context, data.batch(), h, 0.1F,
                    {{}, {d_log_weights.data(), data.size.samples, data.size.slots}});
  EXPECT_EQ(d_log_weights, with_rows.d_log_weights);
}

// An expert that is far off has no part of the sample; where all are, the nearest has it.
TEST(Gaussian, stays_finite_where_densities_do_not) {
  device::Context context(1);
  const std::vector<float> outputs = {1000.0F, 1001.0F};
  const std::vector<float> log_weights = {std::log(0.5F), std::log(0.5F)};
  const float target = 0;
  const test::RowPlaces<const float> rows = {outputs.data(), outputs.data() + 1};
  float loss = 0, mean = 0;
  std::vector<float> posteriors(2);
  gaussian_forward(
      context,
      {.slots = 2, .rows = rows.view(1), .log_weights = {log_weights.data(), 1, 2}, .targets = {&target, 1, 1}},
      {{&loss, 1}, {posteriors.data(), 1, 2}, {&mean, 1, 1}});
  EXPECT_EQ(posteriors, (std::vector<float>{1.0F, 0.0F}));
  EXPECT_NEAR(loss, 0.5 * 1000 * 1000 + std::log(2.0) + std::log(std::sqrt(2 * std::numbers::pi)), 1.0);
  EXPECT_FLOAT_EQ(mean, 1000.5F);
}

TEST(Gaussian, refuses_shapes_that_do_not_fit) {
  device::Context context(1);
  const GaussianData data(sizes[1]);
  GaussianRun run(context, data, 1.0F);
  const tensor::Matrix h(run.posteriors.data(), data.size.samples, data.size.slots);
  const tensor::Matrix mean(run.mean.data(), data.size.samples, data.size.targets);
  GaussianBatch batch = data.batch();
  batch.deviation = 0;
  EXPECT_THROW(gaussian_forward(context, batch, {run.losses, h, mean}), ContractViolation);
  batch = data.batch();
  batch.slots = 1;
  EXPECT_THROW(gaussian_forward(context, batch, {run.losses, h, mean}), ContractViolation);
  EXPECT_THROW(gaussian_forward(context, data.batch(), {run.losses, mean, mean}), ContractViolation);
}

}  // namespace
}  // namespace switchyard::ops
