// What networks are asked for by more than one section of a configuration.
#pragma once

namespace switchyard::nn {

// Of products: what their rows and weights are read in. All that is kept is float32.
enum class Precision { float32, bf16 };
// How first weights are drawn; nn/parameter.hpp has the formulas.
enum class InitialValues { uniform, normal };

}  // namespace switchyard::nn
