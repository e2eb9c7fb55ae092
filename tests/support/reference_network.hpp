// A network's layers in plain float64 loops. They share nothing with src/ but their shapes, and take parameters
// by name.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "nn/network.hpp"

namespace switchyard::reference {

using Values = std::vector<double>;
using Parameters = std::map<std::string, Values>;  // "gate/dense_1/weight" -> elements, row-major

// x W
Values product(const Values& x, const Values& weight, std::int64_t outputs);

// What the first `layers` make of some rows. `hidden`, if given, gets what the network shows.
std::vector<Values> run(const nn::NetworkShape& shape, const std::string& name, const Parameters& parameters,
                        std::vector<Values> rows, std::vector<Values>* hidden = nullptr,
                        std::int64_t layers = std::numeric_limits<std::int64_t>::max());

}  // namespace switchyard::reference
