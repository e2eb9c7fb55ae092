// What networks are asked for by more than one section of a configuration.
#pragma once

#include <cstdint>

namespace switchyard::nn {

// Of products: what their rows and weights are read in. All that is kept is float32.
enum class Precision { float32, tf32, bf16 };
// How first weights are drawn; nn/parameter.hpp has the formulas.
enum class InitialValues { uniform, normal };

// What the large matrices of a model are multiplied as: as they are, or as nn/ternary.hpp says.
enum class Quantiser { none, bitnet };
struct Quantisation {
  Quantiser quantiser = Quantiser::none;
  bool integer_products = false;
};
// Float32 adds up so many products of a number in [-128, 127] and -1, 0 or 1 exactly: 2^24 / 128.
inline constexpr std::int64_t most_quantised_inputs = std::int64_t{1} << 17;

}  // namespace switchyard::nn
