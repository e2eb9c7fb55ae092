// What is done to every slot and row, one number at a time; biases by hand: tests/unit/moe/routers_test.cpp.
#include "ops/moe/slots.hpp"

#include <gmock/gmock.h>

#include "base/error.hpp"
#include "conformance/ops/executors.hpp"

namespace switchyard::ops {
namespace {

using ::testing::ElementsAre;

TEST(Slots, hold_all_experts_or_those_of_labels) {
  device::Context context(2);
  std::vector<std::int32_t> experts(6);
  take_all(context, 3, experts);
  EXPECT_THAT(experts, ElementsAre(0, 1, 2, 0, 1, 2));
  const std::vector<std::int32_t> of_label = {5, 7}, labels = {1, 0, 1};
  std::vector<std::int32_t> chosen(3);
  experts_by_label(context, of_label, labels, chosen);
  EXPECT_THAT(chosen, ElementsAre(7, 5, 7));
  EXPECT_THROW(experts_by_label(context, of_label, labels, experts), ContractViolation);
  std::vector<float> weights(4), log_weights(4, 3.0F);
  weigh_fully(context, {weights.data(), 2, 2}, {log_weights.data(), 2, 2});
  EXPECT_THAT(weights, ElementsAre(1, 1, 1, 1));
  EXPECT_THAT(log_weights, ElementsAre(0, 0, 0, 0));
}

TEST(Slots, of_parts_of_a_row_have_its_group_and_ids_of_their_own) {
  device::Context context(1);
  std::vector<std::int32_t> groups(4);
  repeat(context, std::vector<std::int32_t>{8, 9}, 2, groups);
  EXPECT_THAT(groups, ElementsAre(8, 8, 9, 9));
  std::vector<index_t> ids(4);
  number_parts(context, std::vector<index_t>{10, 3}, 2, ids);
  EXPECT_THAT(ids, ElementsAre(20, 21, 6, 7));
  fill(context, 4, groups);
  EXPECT_THAT(groups, ElementsAre(4, 4, 4, 4));
}

TEST(Slots, count_by_the_weight_of_their_sample) {
  const std::vector<float> weights = {2, 0.5F};
  const auto got = on_every_executor("weigh_gradients", [&](device::Context& context) {
    std::vector<float> values = {1, 2, 3, 4, 10, 20, 30, 40, 50, 60, 70, 80};
    weigh_gradients(context, weights, {values.data(), 2, 2}, tensor::Matrix(values.data() + 4, 4, 2));
    return values;
  });
  EXPECT_THAT(got, ElementsAre(2, 4, 1.5, 2, 20, 40, 60, 80, 25, 30, 35, 40));
  device::Context context(1);
  std::vector<float> slots = {1, 2}, losses = {3, 4}, sums(2);
  weigh_gradients(context, weights, {slots.data(), 2, 1}, {});  // experts are frozen
  EXPECT_THAT(slots, ElementsAre(2, 1));
  weigh_losses(context, weights, losses);
  EXPECT_THAT(losses, ElementsAre(6, 2));
  add_log_weights(context, losses, {slots.data(), 2, 1}, sums);
  EXPECT_THAT(sums, ElementsAre(8, 3));
}

}  // namespace
}  // namespace switchyard::ops
