// The stand-in of nccl.h (tests/simgpu/include) against the real one. Compiled, not run.
#include <nccl.h>

#include <cstddef>

namespace simulated {
// NOLINTNEXTLINE(misc-include-cleaner)
#include "simgpu/include/nccl_types.h"
}  // namespace simulated

// Declares the functions again, with the types of the real header: the compiler refuses what differs.
#include "simgpu/include/nccl_functions.h"

#define SY_SAME(name) static_assert(static_cast<int>(simulated::name) == static_cast<int>(::name))

SY_SAME(ncclSuccess);
SY_SAME(ncclUnhandledCudaError);
SY_SAME(ncclSystemError);
SY_SAME(ncclInternalError);
SY_SAME(ncclInvalidArgument);
SY_SAME(ncclInvalidUsage);
SY_SAME(ncclRemoteError);
SY_SAME(ncclInProgress);
SY_SAME(ncclNumResults);
SY_SAME(ncclSum);
SY_SAME(ncclProd);
SY_SAME(ncclMax);
SY_SAME(ncclMin);
SY_SAME(ncclAvg);
SY_SAME(ncclInt8);
SY_SAME(ncclUint8);
SY_SAME(ncclInt32);
SY_SAME(ncclUint32);
SY_SAME(ncclInt64);
SY_SAME(ncclUint64);
SY_SAME(ncclFloat16);
SY_SAME(ncclFloat32);
SY_SAME(ncclFloat64);
SY_SAME(ncclBfloat16);

static_assert(sizeof(simulated::ncclUniqueId) == sizeof(::ncclUniqueId));
static_assert(sizeof(simulated::ncclConfig_t) == sizeof(::ncclConfig_t));
static_assert(offsetof(simulated::ncclConfig_t, blocking) == offsetof(::ncclConfig_t, blocking));
static_assert(offsetof(simulated::ncclConfig_t, netName) == offsetof(::ncclConfig_t, netName));
