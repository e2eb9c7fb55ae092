#include "checkpoint/detail/failure.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

#include "base/error.hpp"

namespace switchyard::checkpoint::detail {

void fail_with_errno(const std::string& what) {
  throw Failure(fmt::format("{}: {}", what, std::generic_category().message(errno)));
}

void throw_unreadable(const std::filesystem::path& file, const std::string& reason) {
  throw DataError(
      fmt::format("cannot use the checkpoint '{}' ({}); `switchyard verify` tells which checkpoints are "
                  "whole: resume from an older one",
                  file.string(), reason));
}

}  // namespace switchyard::checkpoint::detail
