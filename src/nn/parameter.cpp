#include "nn/parameter.hpp"

#include <algorithm>
#include <cmath>

#include "base/hash.hpp"
#include "base/philox.hpp"

namespace switchyard::nn {

void initialize_uniform(Parameter& parameter, std::uint64_t seed, index_t fan_in) {
  const auto bound = static_cast<float>(1.0 / std::sqrt(static_cast<double>(fan_in)));
  const std::uint64_t key = seed ^ fnv1a(parameter.name);
  const std::span<float> values = parameter.value.span();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Philox block = Philox::at(key, RandomUse::initial_weights, i / 4);
    values[i] = (2.0F * block.uniform(static_cast<int>(i % 4)) - 1.0F) * bound;
  }
}

void initialize_constant(Parameter& parameter, float value) {
  std::ranges::fill(parameter.value.span(), value);
}

}  // namespace switchyard::nn
