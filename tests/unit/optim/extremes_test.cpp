// The optimisers against float64 where their numbers are extreme: tiny and huge gradients, decays next to 0 and
// 1, the first step and the millionth.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "ops/agreement.hpp"
#include "optim/optimiser.hpp"
#include "support/known_step.hpp"
#include "support/reference.hpp"

namespace switchyard::optim {
namespace {

namespace reference = switchyard::testing::reference;

constexpr double rate = 1e-3;
constexpr int steps = 50;

// One weight under the optimiser, and what may be asked of it after `steps` steps: roundings of a 2^-24th part,
// of a moment one per step, of the weight half a digit per step.
struct Weight {
  float value = 0, gradient = 0;
  nn::NormTable norms;
  device::Context context{1};
  Optimiser optimiser;

  explicit Weight(const optim::Options& options) : optimiser(options, table(), slices()) {}

  void step(index_t number, float g, double scale) {
    gradient = g;
    test::update(optimiser, context, {.step = number, .learning_rate = rate, .gradient_scale = scale});
  }
  void expect_near(double expected, double path) const {
    EXPECT_NEAR(static_cast<double>(value), expected,
                path * steps * 0x1p-24 + steps * 0x1p-25 * std::abs(expected));
  }

 private:
  nn::NormTable& table() {
    norms.add({0});
    return norms;
  }
  std::vector<nn::ParameterSlice> slices() {
    nn::ParameterSlice slice;
    slice.value = &value;
    slice.gradient = &gradient;
    slice.count = 1;
    return {slice};
  }
};

struct Moment {
  double beta1, beta2;
};

TEST(Adam, is_that_of_float64_at_every_size_and_decay) {
  for (const Moment& beta :
       {Moment{0, 0}, {0.9, 0.999}, {0.5, 0.9999}, {0.99, 0.99999}, {0.999999, 0.999999}}) {
    for (const double size : {1e-25, 1e-15, 1e-8, 1.0, 1e8, 1e17}) {
      for (const int first : {1, 1'000'000}) {
        SCOPED_TRACE(::testing::Message() << "betas " << beta.beta1 << ", " << beta.beta2 << ", gradients of "
                                          << size << ", from step " << first);
        optim::Options options;
        options.beta1 = beta.beta1;
        options.beta2 = beta.beta2;
        Weight weight(options);
        reference::AdamState state{0, 0, 0};
        std::mt19937 generator(1);
        std::uniform_real_distribution<double> uniform(0.5, 1.0);  // of one sign: nothing cancels
        double path = 0;
        for (int t = first; t < first + steps; ++t) {
          const auto g = static_cast<float>(size * uniform(generator));
          weight.step(t - 1, g, 1.0);
          const double before = state.w;
          state = reference::adam(state, static_cast<double>(g), rate, beta.beta1, beta.beta2, options.epsilon,
                                  0, 1, t);
          path += std::abs(state.w - before);
        }
        weight.expect_near(state.w, path);
      }
    }
  }
}

TEST(Clipping, is_that_of_float64_at_every_size) {
  for (const double momentum : {0.0, 0.9, 0.9999}) {
    for (const double size : {1e-30, 1e-3, 1.0, 1e15, 1e37}) {
      SCOPED_TRACE(::testing::Message() << "momentum " << momentum << ", gradients of " << size);
      optim::Options options;
      options.name = optim::OptimiserKind::sgd;
      options.momentum = momentum;
      Weight weight(options);
      reference::SgdState state{0, 0};
      double path = 0;
      for (int t = 0; t < steps; ++t) {
        const auto g = static_cast<float>(size);
        const double scale = ops::clip_scale(static_cast<double>(g), 1.0);
        weight.step(t, g, scale);
        const double before = state.w;
        state = reference::sgd(state, static_cast<double>(g), rate, momentum, 0, scale);
        path += std::abs(state.w - before);
      }
      weight.expect_near(state.w, path);
    }
  }
}

}  // namespace
}  // namespace switchyard::optim
