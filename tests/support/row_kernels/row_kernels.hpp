// Kernels that use all that a team offers, for the tests of the executors.
#pragma once

#include <algorithm>

#include "device/team.hpp"
#include "tensor/view.hpp"

namespace switchyard::device::test {

// out[i] = x[i]^2 + i.
struct SquarePlusIndex {
  const float* x;
  float* out;
  SY_HD void operator()(index_t i) const { out[i] = x[i] * x[i] + static_cast<float>(i); }
};

// Per row: the sum of squares in float and in double, and their maximum, all read in reverse from scratch, so
// that a missing sync or a wrong order of sums shows.
struct SumsThroughScratch {
  tensor::ConstMatrix in;
  float* sums;
  double* double_sums;
  float* maxima;

  index_t scratch_bytes() const { return in.cols * static_cast<index_t>(sizeof(float)); }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    float* const squares = team.template scratch<float>();
    const float* const x = in.row(row);
    const index_t last = in.cols - 1;
    team.for_each(in.cols, [&](index_t i) { squares[i] = x[i] * x[i]; });
    team.sync();
    const float sum = team.sum(in.cols, [&](index_t i) { return squares[last - i]; });
    const double double_sum =
        team.sum(in.cols, [&](index_t i) { return static_cast<double>(squares[last - i]); });
    const float max = team.max(in.cols, [&](index_t i) { return squares[last - i]; });
    team.once([&] {
      sums[row] = sum;
      double_sums[row] = double_sum;
      maxima[row] = max;
    });
  }
};

// Per row, the maximum. `scratch` decides whether a warp or a block of a GPU owns a row.
struct RowMaxima {
  tensor::ConstMatrix in;
  float* maxima;
  index_t scratch;

  index_t scratch_bytes() const { return scratch; }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const x = in.row(row);
    const float max = team.max(in.cols, [&](index_t i) { return x[i]; });
    team.once([&] { maxima[row] = max; });
  }
};

// Per row, in place: x = (x - max) / (1 + sum of |x|), then reversed. The reversal reads
// what other threads wrote, and all of them use the maximum and the sum. `scratch` as above.
struct NormaliseAndReverse {
  tensor::Matrix x;
  index_t scratch = 0;

  index_t scratch_bytes() const { return scratch; }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    float* const values = x.row(row);
    const float max = team.max(x.cols, [&](index_t i) { return values[i]; });
    const float sum = team.sum(x.cols, [&](index_t i) { return values[i] < 0 ? -values[i] : values[i]; });
    team.for_each(x.cols, [&](index_t i) { values[i] = (values[i] - max) / (1.0F + sum); });
    team.sync();
    team.for_each(x.cols / 2, [&](index_t i) {
      const float first = values[i];
      values[i] = values[x.cols - 1 - i];
      values[x.cols - 1 - i] = first;
    });
  }
};

}  // namespace switchyard::device::test
