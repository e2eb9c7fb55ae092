#include "ops/dropout.hpp"

#include <cmath>

#include "base/philox.hpp"
#include "conformance/ops/executors.hpp"

namespace switchyard::ops {
namespace {

constexpr index_t rows = 37, cols = 70;
constexpr Dropout quarter{0.25F, 11};

std::vector<float> dropped(device::Context& context, const Dropout& of, std::uint32_t step,
                           const std::vector<index_t>& ids, const std::vector<float>& x) {
  std::vector<float> y(x.size());
  dropout(context, of, step, ids, {x.data(), rows, cols}, {y.data(), rows, cols});
  return y;
}

std::vector<index_t> ids_from(index_t first) {
  std::vector<index_t> ids;
  for (index_t r = 0; r < rows; ++r) ids.push_back(first + r);
  return ids;
}

TEST(DropoutOp, drops_by_seed_step_row_and_column) {
  const std::vector<float> x = random_values(rows * cols, 1);
  const std::vector<index_t> ids = ids_from(1000);
  const auto got = on_every_executor(
      "dropout", [&](device::Context& context) { return dropped(context, quarter, 5, ids, x); });
  for (index_t r = 0; r < rows; ++r) {
    for (index_t c = 0; c < cols; ++c) {
      const auto counter = static_cast<std::uint64_t>(1000 + r) | static_cast<std::uint64_t>(c / 4) << 40U;
      const float drawn = Philox::at(11, RandomUse::dropout, counter, 5).uniform(static_cast<int>(c % 4));
      const std::size_t at = as_size(r * cols + c);
      EXPECT_EQ(got[at], drawn < 0.25F ? 0.0F : x[at] * (1.0F / 0.75F)) << r << ", " << c;
    }
  }
}

TEST(DropoutOp, is_another_one_for_another_step_and_place) {
  device::Context context(1);
  const std::vector<float> x(as_size(rows * cols), 1.0F);
  const std::vector<index_t> ids = ids_from(0);
  const auto y = dropped(context, quarter, 0, ids, x);
  EXPECT_FALSE(same_bits(y, dropped(context, quarter, 1, ids, x)));
  EXPECT_FALSE(same_bits(y, dropped(context, {0.25F, 12}, 0, ids, x)));
  EXPECT_FALSE(same_bits(y, dropped(context, quarter, 0, ids_from(1), x)));
  EXPECT_TRUE(same_bits(x, dropped(context, {0, 11}, 0, ids, x)));
}

// In place, and as many as the probability says: of 2,590 numbers 647.5 +- 22.
TEST(DropoutOp, drops_a_quarter) {
  device::Context context(2);
  std::vector<float> x(as_size(rows * cols), 3.0F);
  dropout(context, quarter, 0, ids_from(0), {x.data(), rows, cols}, {x.data(), rows, cols});
  const auto zeros = std::count(x.begin(), x.end(), 0.0F);
  EXPECT_NEAR(static_cast<double>(zeros), 647.5, 4 * 22.0);
}

}  // namespace
}  // namespace switchyard::ops
