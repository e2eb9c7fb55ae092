// Stands in for the header of the CUDA runtime where the simulated device is compiled in: our subset of it.
#pragma once

// In this order: the second needs the types of the first.
#include "cuda_runtime_types.h"

#include "cuda_runtime_functions.h"
