// Kernels of ops/moe/slots.hpp.
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "ops/moe/slots.hpp"

namespace switchyard::ops::kernels {

struct TakeAll {
  index_t slots;
  std::int32_t* experts;
  SY_HD void operator()(index_t i) const { experts[i] = static_cast<std::int32_t>(i % slots); }
};

struct ExpertsByLabel {
  const std::int32_t* expert_of_label;
  const std::int32_t* labels;
  std::int32_t* experts;
  SY_HD void operator()(index_t n) const { experts[n] = expert_of_label[labels[n]]; }
};

struct WeighFully {
  float* weights;
  float* log_weights;
  SY_HD void operator()(index_t i) const {
    weights[i] = 1.0F;
    log_weights[i] = 0.0F;
  }
};

struct Fill {
  std::int32_t value;
  std::int32_t* values;
  SY_HD void operator()(index_t i) const { values[i] = value; }
};

struct Repeat {
  const std::int32_t* values;
  index_t times;
  std::int32_t* all;
  SY_HD void operator()(index_t i) const { all[i] = values[i / times]; }
};

struct NumberParts {
  const index_t* ids;
  index_t times;
  index_t* all;
  SY_HD void operator()(index_t i) const { all[i] = ids[i / times] * times + i % times; }
};

struct WeighLosses {
  const float* weights;
  float* losses;
  SY_HD void operator()(index_t n) const { losses[n] *= weights[n]; }
};

// One row is one sample.
struct WeighGradients {
  const float* weights;
  tensor::Matrix slots;
  tensor::RowTarget rows;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float weight = weights[row];
    float* const of_slots = slots.row(row);
    team.for_each(slots.cols, [=](index_t i) { of_slots[i] *= weight; });
    for (index_t i = 0; i < slots.cols && rows.cols > 0; ++i) {
      float* const values = rows.row(row * slots.cols + i);
      team.for_each(rows.cols, [=](index_t c) { values[c] *= weight; });
    }
  }
};

struct AddLogWeights {
  const float* losses;
  tensor::ConstMatrix log_weights;
  float* sums;
  SY_HD void operator()(index_t n) const { sums[n] = losses[n] + log_weights(n, 0); }
};

// One row, whose experts one thread takes in their order.
struct MoveBiases {
  const std::int64_t* loads;
  index_t experts;
  double rate;
  float* biases;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t /*row*/) const {
    team.once([&] {
      std::int64_t total = 0;
      for (index_t e = 0; e < experts; ++e) total += loads[e];
      double mean = 0;
      for (index_t e = 0; e < experts; ++e) mean += sign(e, total);
      mean /= static_cast<double>(experts);
      for (index_t e = 0; e < experts; ++e) biases[e] += static_cast<float>(rate * (sign(e, total) - mean));
    });
  }

 private:
  SY_HD int sign(index_t e, std::int64_t total) const {
    const std::int64_t all = experts * loads[e];
    return (all < total ? 1 : 0) - (all > total ? 1 : 0);
  }
};

}  // namespace switchyard::ops::kernels
