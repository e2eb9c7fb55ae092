// A crash that only says that memory has run out.
#pragma once

#include <cstddef>

namespace switchyard {

// Whether the system would give this process `bytes` more now. Takes and returns them; about 2 us.
bool has_memory(std::size_t bytes) noexcept;

// Libraries crash where they do not check an allocation: from now on a crash (SEGV, BUS, ABRT) at a time when
// the system refuses memory is one sentence on standard error and ExitCode::library. Any other crash ends the
// process as it would have, with its signal. Call once, first.
void report_crashes_without_memory();

}  // namespace switchyard
