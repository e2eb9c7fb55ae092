// Kernels of ops/moe/pairwise.hpp.
#pragma once

#include <cmath>

#include "base/host_device.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops::kernels {

struct SquaredNormOfRow {
  tensor::ConstMatrix x;
  float* squared_norms;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const values = x.row(row);
    const double sum = team.sum(x.cols, [&](index_t i) {
      const double value = values[i];
      return value * value;
    });
    team.once([&] { squared_norms[row] = static_cast<float>(sum); });
  }
};

// A row of products x_r . y_c becomes a row of distances, in place.
struct DistancesOfRow {
  tensor::Matrix block;
  const float* row_norms;
  const float* column_norms;
  index_t self;  // column of row r's own sample: r + self
  double* sums;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    float* const d = block.row(row);
    const float norm = row_norms[row];
    const float* const norms = column_norms;
    team.for_each(block.cols, [=](index_t c) {
      const float square = (norm + norms[c]) - 2.0F * d[c];
      d[c] = std::sqrt(square > 0.0F ? square : 0.0F);
    });
    const index_t own = row + self;
    team.sync();
    team.once([&] {
      if (own >= 0 && own < block.cols) d[own] = 0.0F;
    });
    const double sum = team.sum(block.cols, [&](index_t c) { return static_cast<double>(d[c]); });
    team.once([&] { sums[row] += sum; });
  }
};

}  // namespace switchyard::ops::kernels
