// Normalised gradient descent (Chen et al. 2022, Algorithm 1), and a gate with an optimiser of its own.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "optim/optimiser.hpp"
#include "support/known_step.hpp"

namespace switchyard::optim {
namespace {

using optim::GradientNorm;
using optim::OptimiserKind;

double square(const std::vector<float>& values) {
  return std::inner_product(values.begin(), values.end(), values.begin(), 0.0);
}

// A gate (unit 0, the router) with one tensor and two experts with two tensors each; the first tensor of an
// expert is cut into two blocks, with an entry in the norm table each.
struct Networks {
  struct Slice {
    index_t unit, norm_entry;
    std::vector<float> value, gradient;
  };
  std::vector<Slice> slices = {
      {0, 0, {1, 2}, {3, -4}},
      {1, 1, {1, 1, 1}, {2, -1, 0}},  // unit 1, tensor 0, block 0
      {1, 2, {0.5F}, {2}},            // unit 1, tensor 0, block 1
      {1, 3, {-3, 4}, {0, 4}},        // unit 1, tensor 1
      {2, 4, {7, 7, 7}, {0, 0, 0}},   // unit 2 got no samples
      {2, 5, {7}, {0}},
      {2, 6, {-7, 7}, {0, 0}},
  };
  index_t router = 0;  // unit
  std::vector<double> squares;
  nn::NormTable norms;

  Networks() {
    norms.add({0});
    for (int expert = 0; expert < 2; ++expert) norms.add({0, 0, 1});
    for (const Slice& slice : slices) squares.push_back(square(slice.gradient));
  }
  // Unit 1: |tensor 0| = 3, |tensor 1| = 4.
  static constexpr double whole_norm = 5, sum_of_norms = 7;

  std::vector<nn::ParameterSlice> parameter_slices() {
    std::vector<nn::ParameterSlice> all;
    for (Slice& slice : slices) {
      nn::ParameterSlice s;
      s.value = slice.value.data();
      s.gradient = slice.gradient.data();
      s.count = static_cast<index_t>(slice.value.size());
      s.norm_entry = slice.norm_entry;
      s.role = slice.unit == router ? nn::Role::router : nn::Role::weight;
      s.unit = slice.unit;
      all.push_back(s);
    }
    return all;
  }
};

optim::Options normalised() {
  optim::Options options;
  options.name = OptimiserKind::normalised_sgd;
  return options;
}

struct Rate {
  double learning_rate = 0;
  double gradient_scale = 1;
};

void update(const optim::Options& options, Networks& networks, Rate rate, int times = 1) {
  device::Context context(1);
  Optimiser optimiser(options, networks.norms, networks.parameter_slices());
  for (int i = 0; i < times; ++i) {
    test::update(optimiser, context,
                 {.step = i,
                  .learning_rate = rate.learning_rate,
                  .gradient_scale = rate.gradient_scale,
                  .squares = networks.squares});
  }
}

// value - factor * gradient for the slices of a unit.
void expect_moved(const Networks& networks, index_t unit, double factor) {
  const Networks before;
  for (std::size_t s = 0; s < before.slices.size(); ++s) {
    if (before.slices[s].unit != unit) continue;
    for (std::size_t i = 0; i < before.slices[s].value.size(); ++i) {
      EXPECT_NEAR(networks.slices[s].value[i],
                  before.slices[s].value[i] - factor * before.slices[s].gradient[i], 1e-6)
          << "unit " << unit << ", slice " << s << ", place " << i;
    }
  }
}

TEST(NormalisedSgd, steps_by_the_rate_over_the_whole_network) {
  Networks networks;
  update(normalised(), networks, {.learning_rate = 0.25});
  expect_moved(networks, 0, 0.25 / 5);
  expect_moved(networks, 1, 0.25 / Networks::whole_norm);
  const Networks before;
  double moved = 0;
  for (std::size_t s = 1; s < 4; ++s) {
    for (std::size_t i = 0; i < before.slices[s].value.size(); ++i) {
      moved += std::pow(networks.slices[s].value[i] - before.slices[s].value[i], 2);
    }
  }
  EXPECT_NEAR(std::sqrt(moved), 0.25, 1e-6);
}

TEST(NormalisedSgd, may_divide_by_the_sum_of_the_tensors_norms) {
  optim::Options options = normalised();
  options.gradient_norm = GradientNorm::sum_of_tensors;
  Networks networks;
  update(options, networks, {.learning_rate = 0.25});
  expect_moved(networks, 0, 0.25 / 5);  // one tensor: the same
  expect_moved(networks, 1, 0.25 / Networks::sum_of_norms);
}

TEST(NormalisedSgd, leaves_a_network_without_a_gradient_as_it_is) {
  for (const double momentum : {0.0, 0.9}) {
    optim::Options options = normalised();
    options.momentum = momentum;
    options.weight_decay = 0.1;
    Networks networks;
    update(options, networks, {.learning_rate = 0.25}, 3);
    expect_moved(networks, 2, 0);
  }
}

TEST(NormalisedSgd, does_not_ask_how_large_a_gradient_is) {
  Networks small, large;
  for (auto* networks : {&small, &large}) {
    const float factor = networks == &small ? 0x1p-60F : 0x1p+40F;
    networks->squares.clear();
    for (Networks::Slice& slice : networks->slices) {
      for (float& g : slice.gradient) g *= factor;
      networks->squares.push_back(square(slice.gradient));
    }
    update(normalised(), *networks, {.learning_rate = 0.25});
    expect_moved(*networks, 1, 0.25 / Networks::whole_norm);
  }
  // Clipping finds nothing to clip.
  Networks clipped;
  update(normalised(), clipped, {.learning_rate = 0.25, .gradient_scale = 0.01});
  expect_moved(clipped, 1, 0.25 / Networks::whole_norm);
}

// u = 0.5 u + g / |g|: after two steps 1 + 1.5 times the first.
TEST(NormalisedSgd, keeps_a_velocity_if_it_has_momentum) {
  optim::Options options = normalised();
  options.momentum = 0.5;
  Networks networks;
  update(options, networks, {.learning_rate = 0.25}, 2);
  expect_moved(networks, 1, 2.5 * 0.25 / Networks::whole_norm);
}

TEST(GateOptimiser, is_that_of_the_experts_or_its_own) {
  optim::Options options = normalised();
  EXPECT_EQ(kind_of(options, nn::Role::router), OptimiserKind::normalised_sgd);
  options.gate_name = OptimiserKind::sgd;
  EXPECT_EQ(kind_of(options, nn::Role::router), OptimiserKind::sgd);
  EXPECT_EQ(kind_of(options, nn::Role::weight), OptimiserKind::normalised_sgd);
  options.gate_name = OptimiserKind::adam;
  options.momentum = 0.9;
  EXPECT_EQ(kind_of(options, nn::Role::router), OptimiserKind::adam);
  EXPECT_EQ(state_names(options, nn::Role::router),
            (std::vector<std::string>{"first_moment", "second_moment"}));
  EXPECT_EQ(state_names(options, nn::Role::weight), std::vector<std::string>{"velocity"});
  options.name = OptimiserKind::adam;
  options.gate_name = OptimiserKind::normalised_sgd;
  EXPECT_EQ(kind_of(options, nn::Role::router), OptimiserKind::normalised_sgd);
  EXPECT_EQ(kind_of(options, nn::Role::weight), OptimiserKind::adam);
}

TEST(GateOptimiser, has_a_rate_of_its_own_that_follows_the_schedule) {
  optim::Options options = normalised();
  options.gate_name = OptimiserKind::sgd;
  options.learning_rate = 0.001;
  options.gate_learning_rate = 0.1;
  Networks networks;
  // The schedule is at half of the rate; clipping halves the gate's gradient.
  update(options, networks, {.learning_rate = 0.0005, .gradient_scale = 0.5});
  expect_moved(networks, 0, 0.05 * 0.5);
  expect_moved(networks, 1, 0.0005 / Networks::whole_norm);
  options.gate_learning_rate = 0;  // the experts'
  Networks same;
  update(options, same, {.learning_rate = 0.0005});
  expect_moved(same, 0, 0.0005);
}

TEST(GateOptimiser, is_for_the_router_wherever_it_stands) {
  optim::Options options = normalised();
  options.gate_name = OptimiserKind::sgd;
  options.learning_rate = 0.001;
  options.gate_learning_rate = 0.1;
  Networks networks;
  networks.router = 1;
  update(options, networks, {.learning_rate = 0.001});
  expect_moved(networks, 0, 0.001 / 5);
  expect_moved(networks, 1, 0.1);
}

TEST(GateOptimiser, may_be_adam_beside_normalised_experts) {
  optim::Options options = normalised();
  options.gate_name = OptimiserKind::adam;
  options.gate_learning_rate = 0.01;
  Networks networks;
  update(options, networks, {.learning_rate = 0.001});
  EXPECT_NEAR(networks.slices[0].value[0], 1 - 0.01, 1e-6);
  EXPECT_NEAR(networks.slices[0].value[1], 2 + 0.01, 1e-6);
  expect_moved(networks, 1, 0.001 / Networks::whole_norm);
}

}  // namespace
}  // namespace switchyard::optim
