// An end inside a library that only says that memory has run out.
#pragma once

#include <cstddef>

namespace switchyard {

// More than the 0.25 MiB that oneDNN takes for the code of a kernel, since an operation has some and other
// threads may have given some back, and less than a healthy process could ever miss.
inline constexpr std::size_t spare_bytes = std::size_t{4} << 20;

// Whether the system would give this process spare_bytes more now. Takes and returns them; about 2 us.
bool has_spare_memory() noexcept;

// Libraries crash where they do not check an allocation, and Open MPI calls exit() where one fails: from now on
// a crash (SEGV, BUS, ABRT) or an exit() at a time when the system refuses memory is one sentence on standard
// error and ExitCode::library. Any other ends the process as it would have. Call once, first.
void report_ends_without_memory();
// The process has said what there is to say: an exit() from now on is its own.
void expect_own_end();

}  // namespace switchyard
