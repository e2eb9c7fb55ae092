#include "ops/moe/weighted_sum.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "conformance/ops/executors.hpp"
#include "numerics/ops/differences.hpp"
#include "ops/moe/combine.hpp"
#include "support/reference_losses.hpp"
#include "support/row_places.hpp"

namespace switchyard::ops {
namespace {

namespace naive = switchyard::reference;

struct Size {
  SumLoss loss;
  index_t samples, slots, outputs;
};
const Size sizes[] = {{SumLoss::logistic, 7, 1, 1},        {SumLoss::logistic, 5, 2, 1},
                      {SumLoss::logistic, 3, 8, 1},        {SumLoss::cross_entropy, 6, 1, 2},
                      {SumLoss::cross_entropy, 5, 2, 10},  {SumLoss::cross_entropy, 2, 33, 33},
                      {SumLoss::cross_entropy, 2, 4, 100}, {SumLoss::double_softmax, 6, 1, 2},
                      {SumLoss::double_softmax, 5, 2, 10}, {SumLoss::double_softmax, 2, 8, 33},
                      {SumLoss::logistic, 0, 2, 1},        {SumLoss::double_softmax, 0, 2, 2},
                      {SumLoss::squared_error, 7, 1, 1},   {SumLoss::squared_error, 5, 3, 1},
                      {SumLoss::squared_error, 4, 8, 33},  {SumLoss::squared_error, 0, 2, 3}};

std::string describe(const Size& s) {
  return "loss " + std::to_string(static_cast<int>(s.loss)) + ", " + std::to_string(s.samples) + " samples, " +
         std::to_string(s.slots) + " slots, " + std::to_string(s.outputs) + " outputs";
}

// Random outputs, weights of either sign (a noisy score may be negative) and labels.
struct SumData {
  Size size;
  std::vector<float> outputs;
  test::RowPlaces<const float> rows;  // into outputs, in an order that is not that of memory
  std::vector<float> weights;
  std::vector<std::int32_t> labels;
  std::vector<float> targets;

  SumData(const Size& size_in, unsigned seed)
      : size(size_in),
        outputs(random_values(size.samples * size.slots * size.outputs, seed, 2.0F)),
        weights(random_values(size.samples * size.slots, seed + 1)),
        targets(random_values(size.samples * size.outputs, seed + 2, 2.0F)) {
    std::mt19937 generator(seed);
    const auto classes = static_cast<unsigned>(std::max<index_t>(size.outputs, 2));
    for (index_t n = 0; n < size.samples; ++n)
      labels.push_back(static_cast<std::int32_t>(generator() % classes));
    for (index_t i = 0; i < size.samples * size.slots; ++i) {
      rows.push_back(outputs.data() + (size.samples * size.slots - 1 - i) * size.outputs);
    }
  }
  SumData(const SumData&) = delete;
  SumData& operator=(const SumData&) = delete;

  WeightedSumBatch batch() const {
    return {.loss = size.loss,
            .slots = size.slots,
            .outputs = size.outputs,
            .rows = rows.view(size.outputs),
            .weights = {weights.data(), size.samples, size.slots},
            .labels = labels.data(),
            .targets = {targets.data(), size.samples, size.outputs}};
  }
};

double squared_error(const std::vector<double>& f, const std::vector<double>& targets) {
  double sum = 0;
  for (std::size_t c = 0; c < f.size(); ++c) sum += (f[c] - targets[c]) * (f[c] - targets[c]);
  return sum / static_cast<double>(f.size());
}

double loss_of(SumLoss loss, const std::vector<double>& f, std::int32_t label,
               const std::vector<double>& targets) {
  switch (loss) {
    case SumLoss::cross_entropy:
      return naive::cross_entropy(f, label);
    case SumLoss::logistic:
      return naive::logistic(f[0], label);
    case SumLoss::double_softmax:
      return naive::double_softmax(f, label);
    case SumLoss::squared_error:
      return squared_error(f, targets);
  }
  return 0;
}

// One sample in float64: what its loss is a function of.
struct NaiveSample {
  SumLoss loss;
  std::int32_t label;
  std::vector<double> rows;     // [K, outputs]
  std::vector<double> weights;  // [K]
  std::vector<double> targets;  // [outputs]

  NaiveSample(const SumData& data, index_t n) : loss(data.size.loss), label(data.labels[as_size(n)]) {
    const float* const of_sample = data.targets.data() + n * data.size.outputs;
    targets.assign(of_sample, of_sample + data.size.outputs);
    for (index_t i = 0; i < data.size.slots; ++i) {
      const float* const row = data.rows[as_size(n * data.size.slots + i)];
      rows.insert(rows.end(), row, row + data.size.outputs);
      weights.push_back(data.weights[as_size(n * data.size.slots + i)]);
    }
  }
  std::vector<double> sum() const {
    std::vector<double> f(rows.size() / weights.size(), 0.0);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      for (std::size_t c = 0; c < f.size(); ++c) f[c] += weights[i] * rows[i * f.size() + c];
    }
    return f;
  }
  double value() const { return loss_of(loss, sum(), label, targets); }
  std::int32_t predicted() const {
    const std::vector<double> f = sum();
    if (loss == SumLoss::logistic) return f[0] > 0 ? 1 : 0;
    return static_cast<std::int32_t>(std::max_element(f.begin(), f.end()) - f.begin());
  }
};

struct SumRun {
  std::vector<float> losses, d_sum, d_outputs, d_slots, sum;  // d_outputs: slot by slot
  std::vector<std::int32_t> predicted;

  SumRun(device::Context& context, const SumData& data, float scale, GateMeasure measure)
      : losses(as_size(data.size.samples)),
        d_sum(as_size(data.size.samples * data.size.outputs)),
        d_outputs(data.outputs.size(), -7.0F),
        d_slots(data.weights.size(), -7.0F),
        sum(d_sum.size(), 0.0F),
        predicted(losses.size()) {
    const Size& s = data.size;
    const tensor::Matrix d(d_sum.data(), s.samples, s.outputs);
    weighted_sum_forward(context, data.batch(), {losses, predicted, d, {sum.data(), s.samples, s.outputs}});
    test::RowPlaces<float> d_rows;
    for (index_t i = 0; i < s.samples * s.slots; ++i) d_rows.push_back(d_outputs.data() + i * s.outputs);
    combine_backward(context, {data.batch().rows, data.batch().weights}, d,
                     {scale, measure, d_rows.view(s.outputs), {d_slots.data(), s.samples, s.slots}});
  }
};

// F is a sum of up to 33 terms of size 2: off by 1e-6 or less. The losses of classes have slopes of at most 2,
// and second derivatives of at most 1; that of real numbers is compared relatively to it.
constexpr double relative = 1e-5;

TEST(WeightedSum, equals_the_reference_forward_and_its_differences_backward) {
  device::Context context(1);
  for (const Size& size : sizes) {
    for (const GateMeasure measure : {GateMeasure::weight, GateMeasure::score}) {
      SCOPED_TRACE(describe(size) + (measure == GateMeasure::weight ? ", by weight" : ", by score"));
      const SumData data(size, 1);
      const float scale = 0.25F;
      const SumRun got(context, data, scale, measure);
      for (index_t n = 0; n < size.samples; ++n) {
        NaiveSample sample(data, n);
        ASSERT_NEAR(got.losses[as_size(n)], sample.value(), relative * (1 + sample.value())) << n;
        if (size.loss == SumLoss::squared_error) {
          const std::vector<double> sum = sample.sum();
          for (std::size_t c = 0; c < sum.size(); ++c)
            ASSERT_NEAR(got.sum[as_size(n * size.outputs) + c], sum[c], relative * (1 + std::abs(sum[c]))) << n;
        } else {
          EXPECT_EQ(got.predicted[as_size(n)], sample.predicted()) << n;
        }
        const auto loss = [&] { return scale * sample.value(); };
        const std::vector<double> d_rows = testing::central_differences(sample.rows, loss);
        for (std::size_t i = 0; i < d_rows.size(); ++i) {
          ASSERT_NEAR(got.d_outputs[as_size(n * size.slots * size.outputs) + i], d_rows[i],
                      relative * (1 + std::abs(d_rows[i])))
              << "sample " << n << ", place " << i;
        }
        const std::vector<double> d_weights = testing::central_differences(sample.weights, loss);
        for (std::size_t i = 0; i < d_weights.size(); ++i) {
          const double factor = measure == GateMeasure::weight ? sample.weights[i] : 1.0;
          ASSERT_NEAR(got.d_slots[as_size(n * size.slots) + i], factor * d_weights[i],
                      relative * (3 + std::abs(factor * d_weights[i])))
              << "sample " << n << ", slot " << i;
        }
      }
    }
  }
}

TEST(WeightedSum, has_the_same_bits_on_every_executor) {
  for (const Size& size : sizes) {
    for (const GateMeasure measure : {GateMeasure::weight, GateMeasure::score}) {
      const SumData data(size, 2);
      on_every_executor(describe(size), [&](device::Context& context) {
        const SumRun got(context, data, 0.1F, measure);
        std::vector<float> all = got.losses;
        for (const auto* part : {&got.d_sum, &got.d_outputs, &got.d_slots, &got.sum}) {
          all.insert(all.end(), part->begin(), part->end());
        }
        all.insert(all.end(), got.predicted.begin(), got.predicted.end());
        return all;
      });
    }
  }
}

// Frozen experts want none.
TEST(WeightedSum, gives_the_weights_their_gradient_without_the_rows) {
  for (const Size& size : sizes) {
    for (const GateMeasure measure : {GateMeasure::weight, GateMeasure::score}) {
      const SumData data(size, 2);
      device::Context serial(1);
      const SumRun with_rows(serial, data, 0.1F, measure);
      const auto without = on_every_executor(describe(size), [&](device::Context& context) {
        SumRun got(context, data, 0.1F, measure);
        std::ranges::fill(got.d_slots, -7.0F);
        combine_backward(context, {data.batch().rows, data.batch().weights},
                         {got.d_sum.data(), size.samples, size.outputs},
                         {0.1F, measure, {}, {got.d_slots.data(), size.samples, size.slots}});
        return got.d_slots;
      });
      EXPECT_EQ(without, with_rows.d_slots) << describe(size);
    }
  }
}

// One slot of weight 1: F is the row itself.
struct OneSample {
  float loss;
  std::int32_t predicted;
  std::vector<float> d_sum;
};
OneSample score(SumLoss loss, const std::vector<float>& f, std::int32_t label) {
  device::Context context(1);
  const auto outputs = static_cast<index_t>(f.size());
  const tensor::ConstMatrix row(f.data(), 1, outputs);
  const float weight = 1.0F;
  OneSample got{0, -1, std::vector<float>(f.size())};
  weighted_sum_forward(
      context,
      {.loss = loss, .slots = 1, .outputs = outputs, .rows = row, .weights = {&weight, 1, 1}, .labels = &label},
      {{&got.loss, 1}, {&got.predicted, 1}, {got.d_sum.data(), 1, outputs}});
  return got;
}

TEST(WeightedSum, predicts_the_lower_class_of_a_tie) {
  EXPECT_EQ(score(SumLoss::logistic, {0.0F}, 1).predicted, 0);
  EXPECT_EQ(score(SumLoss::logistic, {-0.0F}, 1).predicted, 0);
  EXPECT_EQ(score(SumLoss::logistic, {1e-30F}, 0).predicted, 1);
  EXPECT_EQ(score(SumLoss::cross_entropy, {1.0F, 3.0F, 3.0F}, 0).predicted, 1);
  EXPECT_EQ(score(SumLoss::double_softmax, {2.0F, 2.0F}, 1).predicted, 0);
  EXPECT_NEAR(score(SumLoss::logistic, {0.0F}, 1).loss, std::log(2.0), 1e-7);
}

TEST(WeightedSum, stays_finite_where_exponentials_do_not) {
  for (const float f : {200.0F, 1e4F, 3e37F}) {
    // Right, then wrong.
    EXPECT_EQ(score(SumLoss::logistic, {f}, 1).loss, 0.0F);
    EXPECT_EQ(score(SumLoss::logistic, {f}, 1).d_sum[0], 0.0F);
    EXPECT_EQ(score(SumLoss::logistic, {f}, 0).loss, f);
    EXPECT_EQ(score(SumLoss::logistic, {f}, 0).d_sum[0], 1.0F);
    EXPECT_EQ(score(SumLoss::logistic, {-f}, 1).loss, f);
    EXPECT_EQ(score(SumLoss::logistic, {-f}, 1).d_sum[0], -1.0F);
    EXPECT_EQ(score(SumLoss::cross_entropy, {f, -f, 0.0F}, 0).loss, 0.0F);
    EXPECT_EQ(score(SumLoss::cross_entropy, {f, 0.0F}, 1).loss, f);
    EXPECT_EQ(score(SumLoss::cross_entropy, {f, 0.0F}, 1).d_sum, (std::vector<float>{1.0F, -1.0F}));
    // The double softmax's floor log(1 + 1/e) and ceiling log(1 + e), both flat.
    EXPECT_NEAR(score(SumLoss::double_softmax, {f, -f}, 0).loss, std::log1p(std::exp(-1.0)), 1e-6);
    EXPECT_NEAR(score(SumLoss::double_softmax, {f, -f}, 1).loss, std::log1p(std::exp(1.0)), 1e-6);
    for (const float d : score(SumLoss::double_softmax, {f, -f}, 1).d_sum) EXPECT_EQ(d, 0.0F);
    EXPECT_NEAR(score(SumLoss::double_softmax, {0, 0, f, 0, 0}, 2).loss, std::log1p(4 * std::exp(-1.0)), 1e-6);
  }
}

TEST(WeightedSum, passes_a_nan_on) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(score(SumLoss::logistic, {nan}, 0).loss));
  EXPECT_TRUE(std::isnan(score(SumLoss::logistic, {nan}, 1).loss));
  for (const SumLoss loss : {SumLoss::cross_entropy, SumLoss::double_softmax}) {
    EXPECT_TRUE(std::isnan(score(loss, {1.0F, nan, 2.0F}, 0).loss));
    EXPECT_TRUE(std::isnan(score(loss, {nan, 1.0F}, 1).loss));
  }
}

TEST(WeightedSum, refuses_outputs_that_do_not_fit_the_loss) {
  device::Context context(1);
  const SumData data({SumLoss::logistic, 2, 2, 1}, 1);
  std::vector<float> losses(2), d(4);
  std::vector<std::int32_t> predicted(2);
  WeightedSumBatch batch = data.batch();
  EXPECT_NO_THROW(weighted_sum_forward(context, batch, {losses, predicted, {d.data(), 2, 1}}));
  EXPECT_THROW(weighted_sum_forward(context, batch, {losses, predicted, {d.data(), 2, 2}}), ContractViolation);
  EXPECT_THROW(weighted_sum_forward(context, batch, {std::span(losses).first(1), predicted, {d.data(), 2, 1}}),
               ContractViolation);
  batch.loss = SumLoss::cross_entropy;
  EXPECT_THROW(weighted_sum_forward(context, batch, {losses, predicted, {d.data(), 2, 1}}), ContractViolation);
  batch.loss = SumLoss::logistic;
  batch.outputs = 2;
  EXPECT_THROW(weighted_sum_forward(context, batch, {losses, predicted, {d.data(), 2, 2}}), ContractViolation);
}

}  // namespace
}  // namespace switchyard::ops
