#include "model/token_choice.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.hpp"
#include "base/philox.hpp"

namespace switchyard::model {
namespace {

const std::vector<float> scores = {0.5F, 2.0F, -1.0F, 2.0F, 1.0F, -30.0F, 0.0F};

// exp(scores / temperature) over the tokens of `kept`, written out.
std::vector<double> expected_of(double temperature, const std::vector<std::size_t>& kept) {
  std::vector<double> p(scores.size());
  double sum = 0;
  for (const std::size_t i : kept) sum += p[i] = std::exp(static_cast<double>(scores[i]) / temperature);
  for (double& one : p) one /= sum;
  return p;
}

void expect_near(const std::vector<double>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-14) << "token " << i;
}

TEST(TokenChoice, has_the_probabilities_of_the_formula) {
  for (const double temperature : {0.3, 1.0, 5.0})
    expect_near(probabilities(scores, {.temperature = temperature}),
                expected_of(temperature, {0, 1, 2, 3, 4, 5, 6}));
  // With temperature 1: 0.3656, 0.3656, 0.1345, 0.0816, 0.0495, ...
  expect_near(probabilities(scores, {.top_p = 0.4}), expected_of(1, {1, 3}));
  expect_near(probabilities(scores, {.top_p = 0.74}), expected_of(1, {1, 3, 4}));
  expect_near(probabilities(scores, {.top_p = 0.88}), expected_of(1, {1, 3, 4, 0}));
  expect_near(probabilities(scores, {.top_p = 0.3}), expected_of(1, {1}));
}

TEST(TokenChoice, of_little_is_the_most_probable_token) {
  for (int i = 0; i < 100; ++i) {
    const double uniform = Philox::at(1, RandomUse::test, static_cast<std::uint64_t>(i)).uniform64();
    EXPECT_EQ(choose(scores, {.temperature = 0}, uniform), 1);
    EXPECT_EQ(choose(scores, {.top_p = 1e-300}, uniform), 1);
    EXPECT_EQ(choose(scores, {.temperature = 1e-300, .top_p = 0.5}, uniform), 1);
  }
}

TEST(TokenChoice, draws_as_often_as_probable) {
  for (const TokenChoice choice : {TokenChoice{}, TokenChoice{2.5, 1}, TokenChoice{0.7, 0.9}}) {
    constexpr int draws = 20'000;
    std::vector<int> counts(scores.size());
    for (int i = 0; i < draws; ++i) {
      const double uniform = Philox::at(2, RandomUse::test, static_cast<std::uint64_t>(i)).uniform64();
      ++counts[as_size(choose(scores, choice, uniform))];
    }
    const std::vector<double> p = probabilities(scores, choice);
    double chi_squared = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
      const double expected = p[i] * draws;
      if (expected < 1) {
        EXPECT_EQ(counts[i], 0) << "token " << i;
      } else {
        chi_squared += (counts[i] - expected) * (counts[i] - expected) / expected;
      }
    }
    EXPECT_LT(chi_squared, 22.5);  // of 6 degrees of freedom once in a thousand
  }
}

TEST(TokenChoice, takes_the_ends) {
  EXPECT_EQ(choose(scores, {}, 0.0), 0);
  EXPECT_EQ(choose(scores, {}, 1.0), 6);  // also if the sum is a little below 1
  EXPECT_THROW((void)choose(std::vector<float>{0.0F, NAN}, {}, 0.5), NumericError);
}

}  // namespace
}  // namespace switchyard::model
