// Kernels of ops/dropout.hpp, against Team (device/team.hpp).
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "base/philox.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops::kernels {

struct DropoutRows {
  std::uint64_t seed;
  std::uint32_t step;
  float probability;
  const index_t* ids;
  tensor::ConstMatrix x;
  tensor::Matrix y;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const auto id = static_cast<std::uint64_t>(ids[row]);
    const float* const in = x.row(row);
    float* const out = y.row(row);
    const float kept = 1.0F / (1.0F - probability);
    // Four numbers to a block.
    team.for_each((x.cols + 3) / 4, [&](index_t block) {
      const Philox r =
          Philox::at(seed, RandomUse::dropout, id | static_cast<std::uint64_t>(block) << 40U, step);
      const index_t first = 4 * block;
      const index_t count = x.cols - first < 4 ? x.cols - first : 4;
      for (index_t i = 0; i < count; ++i) {
        const bool is_kept = r.uniform(static_cast<int>(i)) >= probability;
        out[first + i] = is_kept ? kept * in[first + i] : 0.0F;
      }
    });
  }
};

}  // namespace switchyard::ops::kernels
