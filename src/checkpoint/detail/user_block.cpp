#include "checkpoint/detail/user_block.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "base/hash.hpp"
#include "checkpoint/checkpoint.hpp"
#include "files/regular_file.hpp"

namespace switchyard::checkpoint::detail {
namespace {

static_assert(std::endian::native == std::endian::little, "fields are copied as they are in memory");

constexpr std::size_t schema_offset = 8;
static_assert(file_mark.size() == schema_offset && arrays_mark.size() == schema_offset &&
              tokens_mark.size() == schema_offset);
constexpr std::size_t block_size_offset = 12;
constexpr std::size_t file_size_offset = 16;
constexpr std::size_t digest_offset = 24;
constexpr std::size_t checksum_offset = 508;
// Small enough to stay in the second-level cache between the read and the hash.
constexpr std::size_t read_bytes = std::size_t{1} << 18;

template <class T>
void put(Span<std::byte> bytes, std::size_t offset, const T& value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}
template <class T>
T get(Span<const std::byte> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::string_view content_of(std::string_view mark) {
  if (mark == tokens_mark) return "holds tokens";
  return mark == arrays_mark ? "holds samples" : "is a checkpoint";
}

std::array<std::byte, 16> digest_behind_block(const files::File& file, index_t file_bytes) {
  ContentHash hash;
  std::vector<std::byte> buffer(read_bytes);
  for (index_t offset = user_block_bytes; offset < file_bytes;) {
    const auto bytes = as_size(std::min<index_t>(std::ssize(buffer), file_bytes - offset));
    file.read_at(offset, Span(buffer).first(bytes));
    hash.add(Span(buffer).first(bytes));
    offset += static_cast<index_t>(bytes);
  }
  return hash.digest();
}

}  // namespace

std::array<std::byte, user_block_bytes> encode(const UserBlock& block, std::string_view mark) {
  std::array<std::byte, user_block_bytes> bytes{};
  std::memcpy(bytes.data(), mark.data(), mark.size());
  put(bytes, schema_offset, block.schema_version);
  put(bytes, block_size_offset, static_cast<std::uint32_t>(user_block_bytes));
  put(bytes, file_size_offset, block.file_bytes);
  put(bytes, digest_offset, block.digest);
  put(bytes, checksum_offset, crc32(Span(bytes).first(checksum_offset)));
  return bytes;
}

UserBlock decode(std::span<const std::byte, user_block_bytes> bytes, std::string_view mark) {
  const std::string_view found(reinterpret_cast<const char*>(bytes.data()), schema_offset);
  if (found != mark) {
    const std::string_view wanted = name_of(mark);
    for (const std::string_view other : {file_mark, arrays_mark, tokens_mark})
      if (found == other) throw Failure(fmt::format("it {}, and is no {}", content_of(other), wanted));
    throw Failure(
        fmt::format("it does not begin as a {} does: it is another kind of file, or damaged", wanted));
  }
  const auto stored = get<std::uint32_t>(bytes, checksum_offset);
  const std::uint32_t computed = crc32(bytes.first(checksum_offset));
  if (stored != computed)
    throw Failure(fmt::format("its first {} bytes are damaged: their CRC-32 is {:08x}, stored is {:08x}",
                              user_block_bytes, computed, stored));
  UserBlock block;
  block.schema_version = get<std::uint32_t>(bytes, schema_offset);
  if (block.schema_version != static_cast<std::uint32_t>(schema_version))
    throw Failure(
        fmt::format("it has schema version {}, this program reads version {}: use the program that wrote it",
                    block.schema_version, schema_version));
  block.file_bytes = get<index_t>(bytes, file_size_offset);
  block.digest = get<std::array<std::byte, 16>>(bytes, digest_offset);
  return block;
}

UserBlock seal(const std::filesystem::path& path, std::string_view mark) {
  const files::File file(path, O_RDWR);
  UserBlock block;
  block.schema_version = static_cast<std::uint32_t>(schema_version);
  block.file_bytes = file.size_bytes();
  block.digest = digest_behind_block(file, block.file_bytes);
  file.write_at(0, encode(block, mark));
  file.sync();
  return block;
}

UserBlock verify_bytes(const std::filesystem::path& path, std::string_view mark) {
  // Asked before opening: opening a pipe would wait for its writer.
  if (const std::string reason = files::why_unreadable(path); !reason.empty()) throw Failure(reason);

  const files::File file(path, O_RDONLY);
  const index_t bytes = file.size_bytes();
  if (bytes == 0) throw Failure("it is empty");
  if (bytes < user_block_bytes)
    throw Failure(
        fmt::format("it has {} bytes, a {} has more than {}", bytes, name_of(mark), user_block_bytes));
  std::array<std::byte, user_block_bytes> head;
  file.read_at(0, head);
  const UserBlock block = decode(head, mark);
  if (block.file_bytes != bytes)
    throw Failure(fmt::format("it has {} bytes and was written with {}: it was {}", bytes, block.file_bytes,
                              bytes < block.file_bytes ? "cut short" : "added to"));
  const std::array<std::byte, 16> computed = digest_behind_block(file, bytes);
  if (computed != block.digest)
    throw Failure(fmt::format("its content is damaged: its digest is {}, stored is {}", hex(computed),
                              hex(block.digest)));
  return block;
}

std::string_view name_of(std::string_view mark) {
  if (mark == tokens_mark) return "file of tokens";
  return mark == arrays_mark ? "file of samples" : "checkpoint";
}

std::string hex(const std::array<std::byte, 16>& digest) {
  std::string text;
  for (const std::byte byte : digest) text += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return text;
}

}  // namespace switchyard::checkpoint::detail
