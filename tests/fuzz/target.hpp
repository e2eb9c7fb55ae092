// What the fuzz targets share. A target is a file with one LLVMFuzzerTestOneInput: an input may be refused with
// an Error, and must neither crash, leak, nor cost more than libFuzzer's limits of time and memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// One folder for all inputs of a process.
inline const std::filesystem::path& folder() {
  static const test::TemporaryDirectory directory;
  return directory.path();
}

inline std::filesystem::path write(const char* name, std::string_view content) {
  const std::filesystem::path file = folder() / name;
  std::ofstream(file, std::ios::binary) << content;
  return file;
}

// Runs `use`; to be refused is fine.
template <class Use>
int may_be_refused(const Use& use) {
  try {
    use();
  } catch (const Error&) {
  }
  return 0;
}

}  // namespace switchyard::fuzz
