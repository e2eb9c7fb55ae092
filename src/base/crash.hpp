// A crash that only says that memory has run out.
#pragma once

#include <cstddef>

namespace switchyard {

// More than the 0.25 MiB that oneDNN takes for the code of a kernel, since an operation has some and other
// threads may have given some back, and less than a healthy process could ever miss.
inline constexpr std::size_t spare_bytes = std::size_t{4} << 20;

// Whether the system would give this process spare_bytes more now. Takes and returns them; about 2 us.
bool has_spare_memory() noexcept;

// Libraries crash where they do not check an allocation: from now on a crash (SEGV, BUS, ABRT) at a time when
// the system refuses memory is one sentence on standard error and ExitCode::library. Any other crash ends the
// process as it would have, with its signal. Call once, first.
void report_crashes_without_memory();

}  // namespace switchyard
