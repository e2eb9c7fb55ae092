// The original mixture of experts in plain float64 loops: the oracle of the model's loss and gradients. It
// shares nothing with src/ but the shapes, and takes parameters by name.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "nn/network.hpp"

namespace switchyard::reference {

using Values = std::vector<double>;
using Parameters = std::map<std::string, Values>;  // "gate/dense_1/weight" -> elements, row-major

struct MixtureCase {
  nn::NetworkShape gate;
  nn::NetworkShape expert;
  std::int64_t experts = 0;
  std::int64_t top_k = 0;  // 0: dense
  double importance = 0;
  std::vector<Values> images;
  std::vector<std::int64_t> labels;
};

// Mean task loss plus regulariser, batch norm with the statistics of the whole batch.
double mixture_loss(const MixtureCase& test, const Parameters& parameters);
// Central differences of mixture_loss, for every element of every parameter.
Parameters mixture_gradient(const MixtureCase& test, Parameters parameters, double step = 1e-6);

}  // namespace switchyard::reference
