#include "base/build_info.hpp"

#include <fmt/format.h>
#include <link.h>

#include <cstring>

#include "base/commit.hpp"  // made at every build by src/cmake/commit.cmake

namespace switchyard {
namespace {

// The note of one segment that holds the build id, in hexadecimal; empty if it holds none.
std::string build_id_in(const char* notes, std::size_t bytes) {
  const auto padded = [](std::size_t size) { return (size + 3) / 4 * 4; };
  while (bytes >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    std::memcpy(&note, notes, sizeof(note));
    const std::size_t name_end = sizeof(note) + padded(note.n_namesz);
    const std::size_t end = name_end + padded(note.n_descsz);
    if (end > bytes) return {};
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
        std::memcmp(notes + sizeof(note), ELF_NOTE_GNU, 4) == 0) {
      std::string id;
      for (std::size_t i = 0; i < note.n_descsz; ++i)
        id += fmt::format("{:02x}", static_cast<unsigned char>(notes[name_end + i]));
      return id;
    }
    notes += end;
    bytes -= end;
  }
  return {};
}

// The program comes first; what follows are its libraries.
int look_at_program(dl_phdr_info* program, std::size_t, void* id) {
  for (int i = 0; i < program->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = program->dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    const auto* const notes = reinterpret_cast<const char*>(program->dlpi_addr + segment.p_vaddr);
    if (std::string found = build_id_in(notes, segment.p_memsz); !found.empty())
      *static_cast<std::string*>(id) = std::move(found);
  }
  return 1;
}

}  // namespace

BuildInfo build_info() {
  return {.version = SY_VERSION,
          .commit = SY_COMMIT,
          .compiler = fmt::format("g++ {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__),
          .build_type = SY_BUILD_TYPE,
          .arch = SY_ARCH,
          .cuda = SY_CUDA};
}

std::string binary_id() {
  std::string id;
  dl_iterate_phdr(look_at_program, &id);
  return id;
}

std::string describe(const BuildInfo& info) {
  return fmt::format("switchyard {} ({}), {}, {}, -march={}, cuda {}", info.version,
                     info.commit.empty() ? "no commit" : info.commit, info.compiler, info.build_type, info.arch,
                     info.cuda ? "built in" : "not built in");
}

}  // namespace switchyard
