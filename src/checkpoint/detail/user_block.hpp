// The first 512 bytes of a checkpoint, which HDF5 leaves to us: what is needed to find damage before the rest
// is parsed.
//
//   offset  bytes  content (little-endian)
//        0      8  magic "SYCKPT\r\n"
//        8      4  schema version
//       12      4  512, the size of this block
//       16      8  size of the file in bytes
//       24     16  XXH3-128 of all bytes behind this block, canonical (big-endian) form
//       40    468  zero
//      508      4  CRC-32 of the 508 bytes in front of it
//
// The magic, the version and the last four bytes keep their places in every schema version, so that any version
// of the program can tell a damaged file from one of another version.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "checkpoint/checkpoint.hpp"
#include "files/file.hpp"

namespace switchyard::checkpoint::detail {

// A reason in a few words, without the file's name or a remedy: inside detail/ only. The public functions turn
// it into a DataError that adds both (see reading() in file_reader.hpp, and save.cpp).
using files::Failure;

inline constexpr index_t user_block_bytes = 512;

struct UserBlock {
  std::uint32_t schema_version = 0;
  index_t file_bytes = 0;
  std::array<std::byte, 16> digest{};
};

// `mark`: the first eight bytes.
std::array<std::byte, user_block_bytes> encode(const UserBlock& block, std::string_view mark = file_mark);
// Checks magic, CRC and schema version, in this order. Throws Failure.
UserBlock decode(std::span<const std::byte, user_block_bytes> bytes, std::string_view mark = file_mark);

// Computes the digest of the file as it is, writes the user block and waits until all is on the disk. Throws
// Failure.
UserBlock seal(const std::filesystem::path& file, std::string_view mark = file_mark);
// Checks the user block, the size and the digest. Throws Failure: what is wrong. Reads the whole
// file.
UserBlock verify_bytes(const std::filesystem::path& file, std::string_view mark = file_mark);

// "checkpoint", "file of tokens": what begins with it.
std::string_view name_of(std::string_view mark);

std::string hex(const std::array<std::byte, 16>& digest);

}  // namespace switchyard::checkpoint::detail
