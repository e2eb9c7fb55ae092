#include "ops/moe/combine.hpp"

#include <numeric>

#include "base/error.hpp"
#include "conformance/ops/executors.hpp"
#include "support/row_places.hpp"

namespace switchyard::ops {
namespace {

// Rows in an order that is not that of memory.
struct Slots {
  index_t samples, slots, outputs;
  std::vector<float> values = random_values(samples * slots * outputs, 3);
  std::vector<float> weights = random_values(samples * slots, 4);
  test::RowPlaces<const float> rows = [this] {
    test::RowPlaces<const float> places;
    for (index_t i = samples * slots; i-- > 0;) places.push_back(values.data() + i * outputs);
    return places;
  }();

  CombineBatch batch() const { return {rows.view(outputs), {weights.data(), samples, slots}}; }
};

constexpr index_t sizes[][3] = {{0, 1, 3}, {5, 1, 1}, {5, 2, 33}, {3, 5, 64}, {2, 33, 100}};

TEST(Combine, adds_the_weighted_slots_of_a_row_in_their_order) {
  for (const auto& [samples, slots, outputs] : sizes) {
    const Slots data{samples, slots, outputs};
    const auto y = on_every_executor("combine", [&](device::Context& context) {
      std::vector<float> result(as_size(samples * outputs), -7.0F);
      combine(context, data.batch(), {result.data(), samples, outputs});
      return result;
    });
    const auto sums = on_every_executor("sum_slots", [&](device::Context& context) {
      std::vector<float> result(as_size(samples * outputs), -7.0F);
      sum_slots(context, data.rows.view(outputs), slots, {result.data(), samples, outputs});
      return result;
    });
    for (index_t n = 0; n < samples; ++n) {
      for (index_t c = 0; c < outputs; ++c) {
        float weighted = 0, sum = 0;
        for (index_t i = 0; i < slots; ++i) {
          const float f = data.rows[as_size(n * slots + i)][c];
          const float term = data.weights[as_size(n * slots + i)] * f;
          weighted = i == 0 ? term : weighted + term;
          sum = i == 0 ? f : sum + f;
        }
        EXPECT_EQ(y[as_size(n * outputs + c)], weighted);
        EXPECT_EQ(sums[as_size(n * outputs + c)], sum);
      }
    }
  }
}

TEST(Combine, refuses_shapes_that_do_not_fit) {
  device::Context context(1);
  const Slots data{2, 2, 3};
  std::vector<float> y(6);
  EXPECT_THROW(combine(context, data.batch(), {y.data(), 3, 2}), ContractViolation);
  EXPECT_THROW(sum_slots(context, data.rows.view(3), 4, {y.data(), 2, 3}), ContractViolation);
}

}  // namespace
}  // namespace switchyard::ops
