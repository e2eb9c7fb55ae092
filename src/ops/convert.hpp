// Between float32 and bfloat16.
#pragma once

#include "base/host_device.hpp"
#include "base/span.hpp"
#include "device/context.hpp"
#include "ops/matmul.hpp"

namespace switchyard::ops {

// Exact.
SY_HD inline float to_float(bfloat16 value) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(value.bits) << 16U);
}

// Round to nearest, ties to even; above the largest bfloat16 infinity. A NaN stays a NaN (quiet, sign kept).
SY_HD inline bfloat16 to_bfloat16(float value) {
  const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value);
  const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16U) & 1U)) >> 16U;
  const std::uint32_t quiet_nan = (bits >> 16U) | 0x0040U;
  return {static_cast<std::uint16_t>(value != value ? quiet_nan : rounded)};
}

// to[i] = from[i], rounded; the two have the same length.
void to_bfloat16(device::Context&, Span<const float> from, Span<bfloat16> to);

}  // namespace switchyard::ops
