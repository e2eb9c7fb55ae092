// NCCL's functions, from the library that is opened at run time. Private to comm/nccl.
#pragma once

#include <nccl.h>

#include "base/shared_library.hpp"

namespace switchyard::comm::nccl {

// A table that cannot drift from the header: each entry has the type that the header declares. All are null
// where there is no library.
struct Functions {
  SharedLibrary library;
  decltype(&ncclGetVersion) get_version;
  decltype(&ncclGetUniqueId) get_unique_id;
  decltype(&ncclCommInitRankConfig) comm_init_rank_config;
  decltype(&ncclCommDestroy) comm_destroy;
  decltype(&ncclCommAbort) comm_abort;
  decltype(&ncclCommGetAsyncError) comm_get_async_error;
  decltype(&ncclGroupStart) group_start;
  decltype(&ncclGroupEnd) group_end;
  decltype(&ncclSend) send;
  decltype(&ncclRecv) receive;
  decltype(&ncclAllReduce) all_reduce;
  decltype(&ncclGetErrorString) error_string;
  decltype(&ncclGetLastError) last_error;
};

// Of the library, which is opened by the first call that finds it and never closed: NCCL has threads of its
// own. Throws NcclError, with what was tried, if there is none.
const Functions& functions();

}  // namespace switchyard::comm::nccl
