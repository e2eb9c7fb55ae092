// A file descriptor that is closed without a word: of what was only read, or is mapped.
#pragma once

#include <unistd.h>

#include "base/unique_handle.hpp"

namespace switchyard {

struct QuietDescriptorTraits {
  using Handle = int;
  static Handle none() noexcept { return -1; }
  static void close(Handle handle) noexcept { ::close(handle); }
};
using QuietDescriptor = UniqueHandle<QuietDescriptorTraits>;

}  // namespace switchyard
