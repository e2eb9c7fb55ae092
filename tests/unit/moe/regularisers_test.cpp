// The table and what is turned on; each kind's loss and gradient: tests/numerics, through the whole model.
#include "moe/regularisers.hpp"

#include <gmock/gmock.h>

#include <set>

namespace switchyard::moe {
namespace {

using testing::ElementsAre;
using testing::Pair;

constexpr index_t experts = 3;

// The names of what adds to the loss of a batch of 10 samples whose every sum is uneven, with the values.
std::vector<std::pair<std::string_view, double>> losses(const Options& options) {
  Regularisers regularisers(options);
  std::vector<double> sums(as_size(regularisers.width()));
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = 1.0 + static_cast<double>(i * i);
  device::Context context(1);
  std::vector<double> losses(regulariser_kinds().size());
  regularisers.complete(context, {.sums = sums, .importance = std::vector<double>{1, 2, 7}, .samples = 10},
                        losses);
  std::vector<std::pair<std::string_view, double>> found;
  for (std::size_t i = 0; i < regulariser_kinds().size(); ++i) {
    if (losses[i] != 0) found.emplace_back(regulariser_kinds()[i].loss, losses[i]);
  }
  return found;
}

Options with(double Options::*weight, double value) {
  Options options;
  options.experts = experts;
  options.*weight = value;
  return options;
}

TEST(RegulariserKinds, have_names_of_their_own) {
  std::set<std::string_view> names;
  for (const RegulariserKind& kind : regulariser_kinds())
    EXPECT_TRUE(names.insert(kind.loss).second) << kind.loss;
}

TEST(Regularisers, are_off_by_default) {
  EXPECT_THAT(losses(Options{}), ElementsAre());
  for (const auto& [key, weight] : regulariser_weights(Options{})) EXPECT_EQ(weight, 0) << key;
  const Regularisers none(Options{});
  EXPECT_EQ(none.width(), 0);
  const RegulariserGradients gradients = none.gradients();
  EXPECT_TRUE(gradients.importance.empty() && gradients.probability.empty() && gradients.load.empty());
  EXPECT_EQ(gradients.sample_probability.data, nullptr);
  EXPECT_EQ(gradients.z_loss, 0);
  EXPECT_EQ(gradients.entropy, 0);
}

TEST(Regularisers, are_turned_on_by_a_weight_each) {
  const auto name_of = [](double Options::*weight) {
    const auto found = losses(with(weight, 0.5));
    return found.size() == 1 ? found.front().first : "not one";
  };
  EXPECT_EQ(name_of(&Options::importance), "importance_loss");
  EXPECT_EQ(name_of(&Options::balance), "balance_loss");
  EXPECT_EQ(name_of(&Options::load), "load_loss");
  EXPECT_EQ(name_of(&Options::z_loss), "z_loss");
  EXPECT_EQ(name_of(&Options::gate_entropy), "gate_entropy_loss");
  EXPECT_EQ(name_of(&Options::similarity), "similarity_loss");
  EXPECT_EQ(name_of(&Options::similarity_same), "similarity_loss");
  EXPECT_EQ(name_of(&Options::similarity_different), "similarity_loss");
}

TEST(Regularisers, have_sums_of_their_own) {
  Options options = with(&Options::z_loss, 0.5);
  options.gate_entropy = 2;
  options.load = 1;
  // The sums are 1, 2; then 5, 10, 17 of load, with mean 32/3 and variance 109/3.
  EXPECT_THAT(losses(options),
              ElementsAre(Pair("z_loss", testing::DoubleEq(0.5 * 1 / 10)),
                          Pair("gate_entropy_loss", testing::DoubleEq(2.0 * 2 / 10)),
                          Pair("load_loss", testing::DoubleNear(109.0 / 3 / (32.0 / 3 * 32 / 3), 1e-12))));
}

// A part of a batch: its losses are those of its samples, and count by its share where they are added up.
TEST(Regularisers, have_gradients_by_the_share_of_a_batch) {
  Options options = with(&Options::importance, 0.5);
  options.z_loss = 2;
  Regularisers regularisers(options);
  device::Context context(1);
  const std::vector<double> sums = {3}, importance = {1, 2, 7};
  const auto complete = [&](double share) {
    std::vector<double> losses(regulariser_kinds().size());
    regularisers.complete(context, {sums, importance, 10, share}, losses);
    return losses;
  };
  const std::vector<double> whole = complete(1);
  const RegulariserGradients of_whole = regularisers.gradients();
  EXPECT_EQ(complete(0.25), whole);
  const RegulariserGradients of_part = regularisers.gradients();
  ASSERT_EQ(of_whole.importance.size(), 3);
  for (index_t e = 0; e < 3; ++e) EXPECT_EQ(of_part.importance[e], 0.25 * of_whole.importance[e]);
  EXPECT_EQ(of_whole.z_loss, 2);
  EXPECT_EQ(of_part.z_loss, 0.5);
}

}  // namespace
}  // namespace switchyard::moe
