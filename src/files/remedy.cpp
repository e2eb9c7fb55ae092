#include "files/remedy.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

#include "base/error.hpp"

namespace switchyard::files {
namespace {

std::string_view advice(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return "free space there, or use another folder";
    case EACCES:
    case EPERM:
    case EROFS:
      return "use a folder that you may write to";
    case ENOTDIR:
    case EISDIR:
    case EEXIST:
      return "a file is where a folder should be, or the reverse: use another folder";
    default:
      return "check the path and the file system, or use another folder";
  }
}

}  // namespace

void throw_data_error(const SystemFailure& failure, std::string_view place) {
  throw DataError(fmt::format("{} ({}); {} ({})", failure.what_failed(),
                              std::generic_category().message(failure.error_number()),
                              advice(failure.error_number()), place));
}

}  // namespace switchyard::files
