#include "base/thread.hpp"

#include <fmt/format.h>

#include <system_error>
#include <utility>

#include "base/error.hpp"

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

}  // namespace switchyard
