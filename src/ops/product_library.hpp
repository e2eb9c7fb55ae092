// The library that computes products, as it is loaded: what the bits of a run depend on besides the program.
#pragma once

#include <string>

namespace switchyard::ops {

// "oneDNN 2.7.2".
std::string product_library();
// The widest instructions that it uses here, by the processor and ONEDNN_MAX_CPU_ISA: "avx512_core_amx".
std::string product_instruction_set();

}  // namespace switchyard::ops
