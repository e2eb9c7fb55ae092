// Stands in for the header of NVTX where the simulated device is compiled in: our subset of it.
#pragma once

extern "C" {
int nvtxRangePushA(const char* message);
int nvtxRangePop();
}
