// Files that may be gzip, or not, behind their name's back.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/span.hpp"
#include "base/unique_handle.hpp"

namespace switchyard::data::detail {

// `file`, or `file`.gz if `file` does not exist; nothing if neither does.
std::optional<std::filesystem::path> plain_or_compressed(const std::filesystem::path& file);

// A file from its beginning, decompressed on the way if its content is gzip (downloads are often unpacked, or
// not, whatever their name says). zlib verifies the checksum when the end is reached. Blocking. Throws
// DataError for a file that cannot be opened or read, and for a compressed stream that is damaged or ends
// early.
class ByteReader {
 public:
  explicit ByteReader(const std::filesystem::path& file);

  // Fills `bytes` as far as the file goes and returns how many were read.
  std::size_t read(Span<std::uint8_t> bytes);
  // Appends to `bytes` until it holds `limit` of them or the file ends. Memory grows with what the file really
  // holds, never with `limit`.
  void append_to(std::vector<std::uint8_t>& bytes, std::size_t limit);

 private:
  struct GzTraits {
    using Handle = gzFile;
    static Handle none() noexcept { return nullptr; }
    static void close(Handle handle) noexcept { gzclose_r(handle); }
  };

  void check_stream(int got);

  std::filesystem::path file_;
  UniqueHandle<GzTraits> handle_;
};

}  // namespace switchyard::data::detail
