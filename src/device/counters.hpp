// What a context has asked its device for.
#pragma once

#include "base/ids.hpp"

namespace switchyard::device {

// On a GPU; a CPU counts nothing. A step's are the difference.
struct Counters {
  index_t launches = 0;  // of kernels of ours
  index_t products = 0;  // calls of the library
  index_t copies = 0;    // between host and device
  index_t waits = 0;     // of the host, for what the step itself has enqueued

  Counters operator-(const Counters& before) const {
    return {launches - before.launches, products - before.products, copies - before.copies,
            waits - before.waits};
  }
};

}  // namespace switchyard::device
