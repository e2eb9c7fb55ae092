// Counts what C++ code allocates in this process (operator new), by all threads. C libraries use malloc and do
// not count.
#pragma once

#include <cstdint>

namespace switchyard {

// Since the process began.
std::int64_t allocations();

}  // namespace switchyard
