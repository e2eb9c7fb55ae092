// Which device a rank computes on.
#pragma once

#include <string>

#include "base/ids.hpp"
#include "device/context.hpp"
#include "device/describe.hpp"
#include "ops/gpu_products.hpp"
#include "run/options.hpp"

namespace switchyard::cli {

struct ChosenDevice {
  device::DeviceKind kind = device::DeviceKind::cpu;
  int ordinal = 0;  // of a GPU
  std::string why;  // of a CPU that nobody asked for: what a GPU lacks
};

// What this machine has of a GPU and its libraries.
struct FoundGpus {
  device::CudaDevices devices;
  ops::GpuProductLibrary products;  // looked for only where there is a device
};
FoundGpus find_gpus();

// auto: a GPU if there is one and its library of products, else the CPU. Ranks of a machine take its GPUs in
// turn. Throws CudaError, with what was looked for, if a GPU is asked for and is not there. Local.
ChosenDevice choose_device(run::DeviceChoice asked, const FoundGpus& found, NodeRank rank);

// "cuda 0: NVIDIA H100, compute capability 9.0, 132 multiprocessors, 79.6 GiB; driver 13.0, runtime 13.0"
std::string gpu_text(const FoundGpus& found, int ordinal);
// "cublasLt 13.1.0 (/usr/lib/libcublasLt.so.13)"
std::string products_text(const ops::GpuProductLibrary& library);

}  // namespace switchyard::cli
