// Every row of the table of heads against its formula in plain float64, and its gradients against finite
// differences of that.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

#include "model/head.hpp"
#include "model/model.hpp"
#include "ops/moe/kernels/counts.hpp"
#include "support/config_error.hpp"

namespace switchyard::model {
namespace {

constexpr index_t samples = 7, slots = 3;
constexpr double deviation = 0.7;

// One sample as a head sees it.
struct Sample {
  std::vector<std::vector<double>> rows;  // by slot: log-probabilities, or outputs
  std::vector<double> log_weights, scores;
  std::size_t label;
  std::vector<double> targets;
};

double log_sum(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += std::exp(value);
  return std::log(sum);
}

std::vector<double> sum_of_rows(const Sample& of) {
  std::vector<double> sum(of.rows[0].size(), 0.0);
  for (std::size_t i = 0; i < of.rows.size(); ++i) {
    for (std::size_t c = 0; c < sum.size(); ++c) sum[c] += std::exp(of.log_weights[i]) * of.rows[i][c];
  }
  return sum;
}

double of_competing(const Sample& of, double power) {
  double sum = 0;
  for (std::size_t i = 0; i < of.rows.size(); ++i)
    sum += std::exp(of.log_weights[i] + power * of.rows[i][of.label]);
  return -std::log(sum);
}

// What the experts learn from and what the gate does; but for predicted losses both are the loss.
struct Losses {
  double of_experts, of_gate, all;
};

Losses predicted_losses(const Sample& of) {
  const auto best = std::ranges::max_element(of.scores) - of.scores.begin();
  const double answer = -of.rows[as_size(best)][of.label];
  double errors = 0;
  for (std::size_t i = 0; i < of.rows.size(); ++i) errors += std::abs(of.scores[i] - of.rows[i][of.label]);
  return {answer, errors, answer + errors};
}

double squared_distance(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t t = 0; t < a.size(); ++t) sum += (a[t] - b[t]) * (a[t] - b[t]);
  return sum;
}

// -ln of the density of the targets.
double of_gaussians(const Sample& of) {
  const auto count = static_cast<double>(of.targets.size());
  double density = 0;
  for (std::size_t i = 0; i < of.rows.size(); ++i) {
    density +=
        std::exp(of.log_weights[i] - squared_distance(of.rows[i], of.targets) / (2 * deviation * deviation)) /
        std::pow(deviation * std::sqrt(2 * std::numbers::pi), count);
  }
  return -std::log(density);
}

Losses losses(Loss loss, const Sample& of) {
  const auto same = [](double value) { return Losses{value, value, value}; };
  std::vector<double> sum = sum_of_rows(of);
  switch (loss) {
    case Loss::likelihood:
      return same(of_competing(of, 1));
    case Loss::stochastic:
      return same(of_competing(of, 0.5));
    case Loss::predicted_loss:
      return predicted_losses(of);
    case Loss::logistic:
      return same(std::log(1 + std::exp(of.label == 1 ? -sum[0] : sum[0])));
    case Loss::cross_entropy:
      return same(log_sum(sum) - sum[of.label]);
    case Loss::double_softmax: {
      const double log_total = log_sum(sum);
      for (double& value : sum) value = std::exp(value - log_total);
      return same(log_sum(sum) - sum[of.label]);
    }
    case Loss::squared_error:
      return same(squared_distance(sum, of.targets) / static_cast<double>(sum.size()));
    case Loss::gaussian:
      return same(of_gaussians(of));
  }
  return {};
}

// The same samples for the reference and, as float32, for a head.
class HeadTest : public testing::TestWithParam<HeadKind> {
 protected:
  HeadTest() {
    mixture_.networks.loss = GetParam().value;
    mixture_.networks.deviation = deviation;
    const index_t classes = GetParam().value == Loss::logistic ? 2 : 4;
    head_ = GetParam().of_numbers ? make_head(mixture_, {.sample = {}, .targets = targets_of_a_sample})
                                  : make_head(mixture_, {.sample = {}, .classes = classes});
    std::mt19937 random(3);
    std::normal_distribution<float> normal(0, 2);
    const index_t outputs = head_->outputs();
    rows_.resize(samples * slots * outputs);
    d_rows_.resize(samples * slots * outputs);
    for (index_t i = 0; i < samples * targets_of_a_sample; ++i) targets_.push_back(normal(random));
    for (index_t n = 0; n < samples; ++n) {
      Sample& sample = samples_.emplace_back();
      sample.label = as_size((3 * n + 1) % classes);
      labels_.push_back(static_cast<std::int32_t>(sample.label));
      const auto first = targets_.begin() + n * targets_of_a_sample;
      sample.targets.assign(first, first + targets_of_a_sample);
      for (index_t i = 0; i < slots; ++i) sample.scores.push_back(normal(random));
      for (const double score : sample.scores) sample.log_weights.push_back(score - log_sum(sample.scores));
      for (index_t i = 0; i < slots; ++i) {
        std::vector<double>& row = sample.rows.emplace_back();
        for (index_t c = 0; c < outputs; ++c) row.push_back(normal(random));
        const double total = ends_in_softmax(GetParam()) ? log_sum(row) : 0.0;
        for (double& value : row) value -= total;
        std::ranges::copy(row, rows_.data() + (n * slots + i) * outputs);
        scores_.push_back(static_cast<float>(sample.scores[as_size(i)]));
        log_weights_.push_back(static_cast<float>(sample.log_weights[as_size(i)]));
        weights_.push_back(static_cast<float>(std::exp(sample.log_weights[as_size(i)])));
      }
    }
    batch_.labels = labels_;
    batch_.targets = tensor::ConstMatrix(targets_.data(), samples, targets_of_a_sample);
    output_.routing.scores = matrix(scores_);
    output_.routing.weights = output_.routing.factors = matrix(weights_);
    output_.routing.log_weights = matrix(log_weights_);
    output_.routing.samples = samples;
    output_.routing.slots = slots;
    output_.returned[moe::Returned::output] = tensor::ConstMatrix(rows_.data(), samples * slots, outputs);
  }

  static constexpr index_t targets_of_a_sample = 2;

  static tensor::Matrix matrix(std::vector<float>& values) { return {values.data(), samples, slots}; }

  // Twice the step of central differences in float64 is 2e-6.
  double slope(Sample& sample, double& value, double Losses::*part) const {
    const double before = value;
    value = before + 1e-6;
    const double above = losses(GetParam().value, sample).*part;
    value = before - 1e-6;
    const double below = losses(GetParam().value, sample).*part;
    value = before;
    return (above - below) / 2e-6;
  }

  ModelOptions mixture_;
  std::unique_ptr<Head> head_;
  std::vector<Sample> samples_;
  std::vector<float> scores_, weights_, log_weights_;  // [N, K]
  Vector<float> rows_, d_rows_;                        // [N * K, outputs]
  std::vector<std::int32_t> labels_;
  std::vector<float> targets_;
  nn::Batch batch_;
  moe::LayerOutput output_;
  device::Context context_{1};
};
INSTANTIATE_TEST_SUITE_P(losses, HeadTest, testing::ValuesIn(head_kinds),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(HeadTest, has_the_losses_of_its_formula) {
  const Scores found = head_->forward(context_, output_, batch_);
  for (index_t n = 0; n < samples; ++n)
    EXPECT_NEAR(found.losses[n], losses(GetParam().value, samples_[as_size(n)]).all, 1e-5) << "sample " << n;
}

TEST_P(HeadTest, has_the_gradients_of_finite_differences) {
  constexpr float scale = 0.25F;
  // Exponents of Gaussians reach 40, which float32 rounds by 2e-6.
  const double tolerance = GetParam().value == Loss::gaussian ? 1e-5 : 1e-6;
  std::vector<float> d_slots(as_size(samples * slots));
  (void)head_->forward(context_, output_, batch_);
  moe::SlotGradients gradients;
  const tensor::Matrix d_rows(d_rows_.data(), samples * slots, head_->outputs());
  gradients.returned[moe::Returned::output] = d_rows;
  gradients.slots = matrix(d_slots);
  head_->backward(context_, output_, batch_, scale, gradients);
  for (index_t n = 0; n < samples; ++n) {
    Sample& sample = samples_[as_size(n)];
    for (std::size_t i = 0; i < as_size(slots); ++i) {
      SCOPED_TRACE("sample " + std::to_string(n) + ", slot " + std::to_string(i));
      const bool by_score = head_->measure() == ops::GateMeasure::score;
      double& measured = (by_score ? sample.scores : sample.log_weights)[i];
      EXPECT_NEAR(gradients.slots(n, static_cast<index_t>(i)),
                  scale * slope(sample, measured, &Losses::of_gate), tolerance);
      for (std::size_t c = 0; c < sample.rows[i].size(); ++c) {
        EXPECT_NEAR(d_rows(n * slots + static_cast<index_t>(i), static_cast<index_t>(c)),
                    scale * slope(sample, sample.rows[i][c], &Losses::of_experts), tolerance);
      }
    }
  }
}

TEST_P(HeadTest, predicts_the_mean_of_real_numbers) {
  if (!GetParam().of_numbers) return;
  const Scores found = head_->forward(context_, output_, batch_);
  for (index_t n = 0; n < samples; ++n) {
    const std::vector<double> mean = sum_of_rows(samples_[as_size(n)]);
    for (index_t t = 0; t < targets_of_a_sample; ++t)
      EXPECT_NEAR(found.values(n, t), mean[as_size(t)], 1e-5) << "sample " << n;
  }
}

TEST_P(HeadTest, refuses_labels_of_another_kind) {
  const model::Task other =
      GetParam().of_numbers ? Task{.sample = {}, .classes = 2} : Task{.sample = {}, .targets = 2};
  EXPECT_THAT(test::config_error_of([&] { (void)make_head(mixture_, other); }),
              testing::HasSubstr(GetParam().of_numbers ? "is of real numbers, and the labels are classes"
                                                       : "is of classes, and the labels are real numbers"));
}

TEST_P(HeadTest, reads_a_class_of_one_experts_row) {
  const std::vector<float> row = {0.5F, 2, 2, -1};
  const std::vector<float> negative = {-0.5F, -1, -2, -3};
  const auto class_of = [&](const std::vector<float>& outputs) {
    return ops::kernels::class_of(head_->names(), outputs.data(), head_->outputs());
  };
  EXPECT_EQ(class_of(row), 1);
  EXPECT_EQ(class_of(negative), 0);
}

TEST(Heads, of_the_logistic_loss_tell_two_classes_apart) {
  ModelOptions mixture;
  mixture.networks.loss = Loss::logistic;
  EXPECT_EQ(make_head(mixture, {.sample = {}, .classes = 2})->outputs(), 1);
  EXPECT_THAT(
      test::config_error_of([&] { (void)make_head(mixture, {.sample = {}, .classes = 3}); }),
      testing::HasSubstr("model.loss = logistic with 3 classes (it tells two apart); use cross_entropy"));
}

// A factor that is the score itself has its gradient by the score.
TEST(Heads, of_sums_are_measured_by_what_multiplies_the_outputs) {
  ModelOptions mixture;
  for (const Loss loss : {Loss::cross_entropy, Loss::logistic, Loss::double_softmax}) {
    mixture.networks.loss = loss;
    mixture.moe.gate_value = moe::GateValue::noisy_softmax;
    EXPECT_EQ(make_head(mixture, {.sample = {}, .classes = 2})->measure(), ops::GateMeasure::weight);
    mixture.moe.gate_value = moe::GateValue::noisy_logit;
    EXPECT_EQ(make_head(mixture, {.sample = {}, .classes = 2})->measure(), ops::GateMeasure::score);
  }
}

}  // namespace
}  // namespace switchyard::model
