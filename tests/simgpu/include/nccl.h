// Stands in for the header of NCCL where the simulated device is compiled in: our subset of it.
#pragma once

#include <cuda_runtime_api.h>

// In this order: the second needs the types of the first.
#include "nccl_types.h"

#include "nccl_functions.h"
