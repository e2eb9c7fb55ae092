#include "base/thread.hpp"

#include <fmt/format.h>

#include <system_error>
#include <utility>

#include "base/error.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace switchyard {

std::thread start_thread(std::string_view purpose, std::function<void()> body) {
  try {
    return std::thread(std::move(body));
  } catch (const std::system_error& error) {
    throw SystemError(
        fmt::format("cannot start {} ({}); lower run.threads, start fewer ranks, or raise the limit on "
                    "processes (ulimit -u, the container's pids limit) or on memory",
                    purpose, error.code().message()));
  }
}

void flush_denormals_to_zero() {
#if defined(__SSE2__)
  _mm_setcsr(_mm_getcsr() | 0x8040u);  // FTZ is bit 15, DAZ is bit 6
#endif
}

}  // namespace switchyard
