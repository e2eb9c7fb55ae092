#include "checkpoint/detail/blocks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace switchyard::checkpoint::detail {
namespace {

constexpr std::size_t checksum_bytes = 4;
// No block that the writer makes is larger than the largest block of a fractal heap, 64 KiB.
constexpr std::uint64_t most_block_bytes = std::uint64_t{1} << 17;

void check_checksum(std::uint32_t stored, std::uint32_t computed, std::string_view signature,
                    std::uint64_t address) {
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  stored = computed;  // so that changed inputs get behind the checksum
#endif
  if (stored != computed)
    throw Failure(fmt::format("block {} at address {} has checksum {:08x}, stored is {:08x}", signature,
                              address, computed, stored));
}

}  // namespace

std::uint64_t Fields::number(std::size_t bytes) {
  std::uint64_t value = 0;
  std::memcpy(&value, take(bytes).data(), bytes);
  return value;
}

Span<const std::byte> Fields::take(std::size_t bytes) {
  if (bytes > rest_.size())
    throw Failure(fmt::format("a field of {} bytes where {} are left", bytes, rest_.size()));
  const auto taken = rest_.first(bytes);
  rest_ = rest_.subspan(bytes);
  return taken;
}

std::string_view Fields::text(std::size_t bytes) {
  const auto taken = take(bytes);
  return {reinterpret_cast<const char*>(taken.data()), taken.size()};
}

void Fields::expect(std::size_t bytes, std::uint64_t wanted, std::string_view what) {
  const std::uint64_t found = number(bytes);
  if (found != wanted) throw Failure(fmt::format("{} is {}, we write {}", what, found, wanted));
}

void Fields::expect_signature(std::string_view wanted) {
  if (text(wanted.size()) != wanted) throw Failure(fmt::format("a block does not begin with '{}'", wanted));
}

std::uint32_t lookup3(Span<const std::byte> bytes) {
  constexpr std::size_t stride = 12;
  std::uint32_t a = 0xdeadbeefU + static_cast<std::uint32_t>(bytes.size());
  std::uint32_t b = a;
  std::uint32_t c = a;
  const auto add = [&](Span<const std::byte> part) {  // at most 12 bytes, zeros behind them
    std::array<std::uint32_t, 3> words{};
    std::memcpy(words.data(), part.data(), part.size());
    a += words[0];
    b += words[1];
    c += words[2];
  };
  if (bytes.empty()) return c;
  while (bytes.size() > stride) {
    add(bytes.first(stride));
    bytes = bytes.subspan(stride);
    a = (a - c) ^ std::rotl(c, 4);
    c += b;
    b = (b - a) ^ std::rotl(a, 6);
    a += c;
    c = (c - b) ^ std::rotl(b, 8);
    b += a;
    a = (a - c) ^ std::rotl(c, 16);
    c += b;
    b = (b - a) ^ std::rotl(a, 19);
    a += c;
    c = (c - b) ^ std::rotl(b, 4);
    b += a;
  }
  add(bytes);
  c = (c ^ b) - std::rotl(b, 14);
  a = (a ^ c) - std::rotl(c, 11);
  b = (b ^ a) - std::rotl(a, 25);
  c = (c ^ b) - std::rotl(b, 16);
  a = (a ^ c) - std::rotl(c, 4);
  b = (b ^ a) - std::rotl(a, 14);
  return (c ^ b) - std::rotl(b, 24);
}

BlockFile::BlockFile(const files::File& file) : file_(file), size_(file.size_bytes()) {}

index_t BlockFile::offset(std::uint64_t address) const {
  if (address > static_cast<std::uint64_t>(size_ - user_block_bytes))
    throw Failure(fmt::format("an address is {}, the file has {} bytes", address, size_));
  return static_cast<index_t>(address) + user_block_bytes;
}

void BlockFile::claim(std::uint64_t address, std::uint64_t bytes, std::string_view what) {
  const index_t begin = offset(address);
  if (bytes > static_cast<std::uint64_t>(size_ - begin))
    throw Failure(fmt::format("{} at address {} has {} bytes, the file has {}", what, address, bytes, size_));
  const auto count = static_cast<index_t>(bytes);
  if (count > size_ - claimed_)
    throw Failure(
        fmt::format("{} at address {}: blocks and arrays together have more than the {} bytes of the file",
                    what, address, size_));
  claimed_ += count;
  if (count > 0) claims_.emplace_back(begin, begin + count);
}

std::vector<std::byte> BlockFile::peek(std::uint64_t address, std::size_t bytes) const {
  const index_t begin = offset(address);
  std::vector<std::byte> found(std::min(bytes, as_size(size_ - begin)));
  file_.read_at(begin, found);
  return found;
}

std::vector<std::byte> BlockFile::claimed_bytes(std::uint64_t address, std::uint64_t bytes,
                                                std::string_view signature) {
  claim(address, bytes, signature);
  if (bytes > most_block_bytes || bytes < signature.size() + checksum_bytes)
    throw Failure(fmt::format("block {} at address {} has {} bytes", signature, address, bytes));
  std::vector<std::byte> block = peek(address, bytes);
  Fields(block).expect_signature(signature);
  return block;
}

std::vector<std::byte> BlockFile::read(std::uint64_t address, std::uint64_t bytes, std::string_view signature) {
  std::vector<std::byte> block = claimed_bytes(address, bytes, signature);
  const std::size_t covered = block.size() - checksum_bytes;
  const auto stored = Fields(Span(block).subspan(covered)).number(checksum_bytes);
  block.resize(covered);
  check_checksum(static_cast<std::uint32_t>(stored), lookup3(block), signature, address);
  return block;
}

std::vector<std::byte> BlockFile::read_with_inner_checksum(std::uint64_t address, std::uint64_t bytes,
                                                           std::string_view signature,
                                                           std::size_t checksum_at) {
  std::vector<std::byte> block = claimed_bytes(address, bytes, signature);
  const auto place = Span(block).subspan(checksum_at, checksum_bytes);
  const auto stored = Fields(place).number(checksum_bytes);
  std::fill(place.begin(), place.end(), std::byte{0});
  check_checksum(static_cast<std::uint32_t>(stored), lookup3(block), signature, address);
  return block;
}

void BlockFile::check_claims() {
  std::sort(claims_.begin(), claims_.end());
  for (std::size_t i = 1; i < claims_.size(); ++i)
    if (claims_[i].first < claims_[i - 1].second)
      throw Failure(fmt::format("bytes {} to {} of the file belong to two blocks or arrays", claims_[i].first,
                                std::min(claims_[i].second, claims_[i - 1].second)));
}

}  // namespace switchyard::checkpoint::detail
