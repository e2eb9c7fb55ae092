#include "ops/convert.hpp"

#include <bit>
#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "conformance/ops/executors.hpp"

namespace switchyard::ops {
namespace {

std::vector<std::uint16_t> converted(device::Context& context, const std::vector<float>& values) {
  std::vector<bfloat16> out(values.size());
  to_bfloat16(context, values, out);
  std::vector<std::uint16_t> bits;
  for (const bfloat16 v : out) bits.push_back(v.bits);
  return bits;
}

TEST(ToBfloat16, takes_the_nearest_and_the_even_of_two) {
  const std::vector<float> values = {1.0F, 1.0F + 0x1p-8F, 1.0F + 0x3p-8F, 1.0F + 0x1.01p-8F, -1.0F - 0x1p-8F,
                                     0.0F, -0.0F};
  const std::vector<std::uint16_t> expected = {0x3f80, 0x3f80, 0x3f82, 0x3f81, 0xbf80, 0x0000, 0x8000};
  EXPECT_EQ(on_every_executor("ties", [&](device::Context& c) { return converted(c, values); }), expected);
}

TEST(ToBfloat16, keeps_nan_and_overflows_to_infinity) {
  const float shallow_nan = std::bit_cast<float>(0x7f800001U);  // its upper half alone would be infinity
  const float negative_nan = std::bit_cast<float>(0xffffffffU);
  device::Context context(1);
  const auto bits = converted(context, {shallow_nan, negative_nan, std::numeric_limits<float>::max(),
                                        -std::numeric_limits<float>::infinity()});
  EXPECT_TRUE(std::isnan(to_float({bits[0]})));
  EXPECT_TRUE(std::isnan(to_float({bits[1]})));
  EXPECT_TRUE(std::signbit(to_float({bits[1]})));
  EXPECT_EQ(bits[2], 0x7f80);
  EXPECT_EQ(bits[3], 0xff80);
}

TEST(ToBfloat16, is_within_half_a_unit_for_every_length) {
  for (const index_t count : edge_sizes) {
    const std::vector<float> values = random_values(count, 1);
    const auto bits = on_every_executor("conversion", [&](device::Context& c) { return converted(c, values); });
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_LE(std::abs(to_float({bits[i]}) - values[i]), std::abs(values[i]) * 0x1p-8F);
    }
  }
}

TEST(ToBfloat16, wants_as_many_places_as_values) {
  device::Context context(1);
  std::vector<bfloat16> out(2);
  EXPECT_THROW(to_bfloat16(context, std::vector<float>(3), out), ContractViolation);
}

}  // namespace
}  // namespace switchyard::ops
