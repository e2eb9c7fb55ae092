// The header of the simulated device (tests/simgpu/include) against the real one. Compiled, not run.
#include <cuda_runtime_api.h>

#include <cstddef>
#include <type_traits>

namespace simulated {
#include "simgpu/include/cuda_runtime_types.h"
}  // namespace simulated

// Declares the functions again, with the types of the real header: the compiler refuses what differs.
#include "simgpu/include/cuda_runtime_functions.h"

#define SY_SAME(name) static_assert(static_cast<int>(simulated::name) == static_cast<int>(::name))

SY_SAME(cudaSuccess);
SY_SAME(cudaErrorInvalidValue);
SY_SAME(cudaErrorMemoryAllocation);
SY_SAME(cudaErrorInitializationError);
SY_SAME(cudaErrorCudartUnloading);
SY_SAME(cudaErrorInvalidConfiguration);
SY_SAME(cudaErrorInvalidMemcpyDirection);
SY_SAME(cudaErrorInsufficientDriver);
SY_SAME(cudaErrorInvalidDeviceFunction);
SY_SAME(cudaErrorNoDevice);
SY_SAME(cudaErrorInvalidDevice);
SY_SAME(cudaErrorInvalidResourceHandle);
SY_SAME(cudaErrorNotReady);
SY_SAME(cudaErrorIllegalAddress);
SY_SAME(cudaErrorLaunchOutOfResources);
SY_SAME(cudaErrorLaunchTimeout);
SY_SAME(cudaErrorMisalignedAddress);
SY_SAME(cudaErrorLaunchFailure);
SY_SAME(cudaErrorNotSupported);
SY_SAME(cudaErrorUnknown);

SY_SAME(cudaMemcpyHostToHost);
SY_SAME(cudaMemcpyHostToDevice);
SY_SAME(cudaMemcpyDeviceToHost);
SY_SAME(cudaMemcpyDeviceToDevice);
SY_SAME(cudaMemcpyDefault);

SY_SAME(cudaDevAttrMaxThreadsPerBlock);
SY_SAME(cudaDevAttrMaxSharedMemoryPerBlock);
SY_SAME(cudaDevAttrWarpSize);
SY_SAME(cudaDevAttrClockRate);
SY_SAME(cudaDevAttrMultiProcessorCount);
SY_SAME(cudaDevAttrMemoryClockRate);
SY_SAME(cudaDevAttrGlobalMemoryBusWidth);
SY_SAME(cudaDevAttrL2CacheSize);
SY_SAME(cudaDevAttrComputeCapabilityMajor);
SY_SAME(cudaDevAttrComputeCapabilityMinor);
SY_SAME(cudaDevAttrMaxSharedMemoryPerMultiprocessor);
SY_SAME(cudaDevAttrMaxSharedMemoryPerBlockOptin);

SY_SAME(cudaFuncAttributeMaxDynamicSharedMemorySize);

// Macros in both headers, of which the compiler sees the real ones.
static_assert(cudaStreamDefault == 0x00 && cudaStreamNonBlocking == 0x01);
static_assert(cudaEventDefault == 0x00 && cudaEventBlockingSync == 0x01 && cudaEventDisableTiming == 0x02);
static_assert(cudaEventWaitDefault == 0x00);

// Members that are read by name.
template <class Properties, class Real>
concept SameMembers = requires(Properties p, Real r) {
  requires std::is_same_v<decltype(p.name), decltype(r.name)>;
  requires std::is_same_v<decltype(p.totalGlobalMem), decltype(r.totalGlobalMem)>;
  requires std::is_same_v<decltype(p.sharedMemPerBlock), decltype(r.sharedMemPerBlock)>;
  requires std::is_same_v<decltype(p.sharedMemPerBlockOptin), decltype(r.sharedMemPerBlockOptin)>;
  requires std::is_same_v<decltype(p.warpSize), decltype(r.warpSize)>;
  requires std::is_same_v<decltype(p.maxThreadsPerBlock), decltype(r.maxThreadsPerBlock)>;
  requires std::is_same_v<decltype(p.major), decltype(r.major)>;
  requires std::is_same_v<decltype(p.minor), decltype(r.minor)>;
  requires std::is_same_v<decltype(p.multiProcessorCount), decltype(r.multiProcessorCount)>;
  requires std::is_same_v<decltype(p.l2CacheSize), decltype(r.l2CacheSize)>;
  requires std::is_same_v<decltype(p.memoryBusWidth), decltype(r.memoryBusWidth)>;
  requires std::is_same_v<decltype(p.pciBusID), decltype(r.pciBusID)>;
  requires std::is_same_v<decltype(p.pciDeviceID), decltype(r.pciDeviceID)>;
  requires std::is_same_v<decltype(p.pciDomainID), decltype(r.pciDomainID)>;
};
static_assert(SameMembers<simulated::cudaDeviceProp, ::cudaDeviceProp>);

static_assert(sizeof(simulated::cudaLaunchConfig_t) == sizeof(::cudaLaunchConfig_t));
static_assert(sizeof(simulated::dim3) == sizeof(::dim3));
