// AdamW (Loshchilov and Hutter 2019), and which parameters decay.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "ops/agreement.hpp"
#include "optim/optimiser.hpp"
#include "support/known_step.hpp"
#include "support/reference.hpp"

namespace switchyard::optim {
namespace {

namespace reference = switchyard::testing::reference;
using nn::Role;

constexpr std::array all_roles = {Role::weight, Role::bias, Role::norm, Role::embedding, Role::router};

Options adamw(double weight_decay) {
  Options options;
  options.name = OptimiserKind::adamw;
  options.weight_decay = weight_decay;
  return options;
}

// A parameter of one element for each role, all with the same gradient.
class OneOfEach {
 public:
  explicit OneOfEach(const Options& options) : optimiser_(options, norms(), slices()) {}

  void step(index_t number, float gradient, double rate, double scale = 1) {
    gradient_ = gradient;
    test::update(optimiser_, context_, {.step = number, .learning_rate = rate, .gradient_scale = scale});
  }
  float value(Role role) const { return values_[static_cast<std::size_t>(role)]; }

 private:
  static nn::NormTable norms() {
    nn::NormTable table;
    table.add({0, 1, 2, 3, 4});
    return table;
  }
  std::vector<nn::ParameterSlice> slices() {
    std::vector<nn::ParameterSlice> all;
    for (const Role role : all_roles) {
      nn::ParameterSlice slice;
      slice.value = &values_[static_cast<std::size_t>(role)];
      slice.gradient = &gradient_;
      slice.count = 1;
      slice.role = role;
      all.push_back(slice);
    }
    return all;
  }

  std::array<float, all_roles.size()> values_{1, 1, 1, 1, 1};
  float gradient_ = 0;
  device::Context context_{1};
  Optimiser optimiser_;
};

// A step of the rate, whatever the gradient's size, and rate * decay of the weight.
TEST(AdamW, takes_the_known_first_step) {
  for (const float gradient : {1e-3F, 2.0F, 1e6F}) {
    OneOfEach parameters(adamw(0.5));
    parameters.step(0, gradient, 0.1);
    EXPECT_NEAR(parameters.value(Role::weight), 1 - 0.1 * (1 + 0.5), 1e-6);
    EXPECT_NEAR(parameters.value(Role::bias), 1 - 0.1, 1e-6);
  }
}

TEST(AdamW, is_that_of_float64_along_a_schedule) {
  constexpr int steps = 50;
  Options options = adamw(0.1);
  options.beta1 = 0.9;
  options.beta2 = 0.95;
  options.epsilon = 1e-6;
  options.learning_rate = 0.02;
  options.warmup_steps = 10;
  options.schedule = ScheduleKind::cosine;
  OneOfEach parameters(options);
  reference::AdamState weight{1, 0, 0}, bias{1, 0, 0};
  std::mt19937 generator(1);
  std::normal_distribution<float> normal(0.2F, 1.0F);
  for (int t = 1; t <= steps; ++t) {
    const float g = normal(generator);
    const double rate = learning_rate(options, steps, t - 1);
    const double scale = ops::clip_scale(std::abs(static_cast<double>(g)), 0.8);
    parameters.step(t - 1, g, rate, scale);
    const auto stepped = [&](reference::AdamState from, double decay) {
      return reference::adamw(from, static_cast<double>(g), rate, 0.9, 0.95, 1e-6, decay, scale, t);
    };
    weight = stepped(weight, 0.1);
    bias = stepped(bias, 0);
  }
  // A rounding of the weight each step, and a few of its change, of up to the rate.
  const double tolerance = steps * (0x1p-24 + 0.02 * 1e-6);
  EXPECT_NEAR(static_cast<double>(parameters.value(Role::weight)), weight.w, tolerance);
  EXPECT_NEAR(static_cast<double>(parameters.value(Role::bias)), bias.w, tolerance);
  EXPECT_GT(std::abs(weight.w - bias.w), 1000 * tolerance) << "what decays cannot be told from what does not";
}

TEST(AdamW, without_decay_has_the_bits_of_adam) {
  Options adam;
  OneOfEach with(adamw(0)), without(adam);
  for (int t = 0; t < 20; ++t) {
    for (OneOfEach* parameters : {&with, &without})
      parameters->step(t, 0.3F - 0.05F * static_cast<float>(t), 0.01);
    for (const Role role : all_roles) EXPECT_EQ(with.value(role), without.value(role));
  }
}

// Decay alone, without a gradient: (1 - rate * decay)^n.
TEST(AdamW, leaves_what_does_not_decay_as_it_is) {
  OneOfEach parameters(adamw(0.5));
  for (int t = 0; t < 3; ++t) parameters.step(t, 0.0F, 0.1);
  EXPECT_NEAR(parameters.value(Role::weight), 0.95 * 0.95 * 0.95, 1e-6);
  for (const Role role : {Role::bias, Role::norm, Role::embedding, Role::router})
    EXPECT_EQ(parameters.value(role), 1.0F) << nn::role_names[static_cast<std::size_t>(role)];
}

TEST(AdamW, keeps_the_state_of_adam) {
  EXPECT_EQ(state_names(adamw(0), Role::weight), state_names(Options(), Role::weight));
}

std::string decaying(const Options& options) {
  std::string names;
  for (const Role role : all_roles) {
    if (decays(options, role)) names += std::string(nn::role_names[static_cast<std::size_t>(role)]) + " ";
  }
  return names;
}

TEST(Decay, is_for_all_parameters_and_under_adamw_for_weights) {
  for (const OptimiserKind kind : {OptimiserKind::adam, OptimiserKind::sgd, OptimiserKind::normalised_sgd}) {
    Options options;
    options.name = kind;
    EXPECT_EQ(decaying(options), "weight bias norm embedding router ");
  }
  EXPECT_EQ(decaying(adamw(0.1)), "weight ");
  Options gate = adamw(0.1);
  gate.gate_name = OptimiserKind::sgd;
  EXPECT_EQ(decaying(gate), "weight router ");
  gate.name = OptimiserKind::sgd;
  gate.gate_name = OptimiserKind::adamw;
  EXPECT_EQ(decaying(gate), "weight bias norm embedding ");
}

TEST(Decay, is_for_what_is_asked_for) {
  for (const OptimiserKind kind : {OptimiserKind::adamw, OptimiserKind::sgd}) {
    Options options = adamw(0.5);
    options.name = kind;
    options.decay_on = {"router", "norm"};
    EXPECT_EQ(decaying(options), "norm router ");
    OneOfEach parameters(options);
    parameters.step(0, 0.0F, 0.1);
    for (const Role role : {Role::norm, Role::router}) EXPECT_NEAR(parameters.value(role), 0.95, 1e-6);
    for (const Role role : {Role::weight, Role::bias, Role::embedding}) EXPECT_EQ(parameters.value(role), 1.0F);
  }
}

}  // namespace
}  // namespace switchyard::optim
