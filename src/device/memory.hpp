// The kinds of memory.
#pragma once

namespace switchyard::device {

enum class MemoryKind {
  host,    // pageable
  pinned,  // the host's, too, and a GPU copies from and to it while the host goes on
  device,  // of a GPU: to the host its addresses are numbers
};

}  // namespace switchyard::device
