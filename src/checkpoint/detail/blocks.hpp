// The blocks in which HDF5 keeps what it knows of a file, read without libhdf5: each one inside the file, no
// two over each other, each with the right checksum.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/span.hpp"
#include "checkpoint/detail/user_block.hpp"

namespace switchyard::checkpoint::detail {

// HDF5's word for "nothing is there".
inline constexpr std::uint64_t no_address = ~std::uint64_t{0};

// Little-endian fields one after another. Reading past the end is a Failure.
class Fields {
 public:
  explicit Fields(Span<const std::byte> bytes) : rest_(bytes) {}
  std::uint64_t number(std::size_t bytes);
  Span<const std::byte> take(std::size_t bytes);
  std::string_view text(std::size_t bytes);
  Span<const std::byte> rest() const { return rest_; }
  // The next field must be `wanted`; `what` names it.
  void expect(std::size_t bytes, std::uint64_t wanted, std::string_view what);
  void expect_signature(std::string_view wanted);

 private:
  Span<const std::byte> rest_;
};

// Bob Jenkins' lookup3 (hashlittle with initval 0), HDF5's checksum of its own blocks.
std::uint32_t lookup3(Span<const std::byte> bytes);

// One file under examination. Local, one thread. The file must outlive it.
class BlockFile {
 public:
  explicit BlockFile(const files::File& file);

  index_t size() const { return size_; }
  // The place in the file of an address, which counts from the end of the user block.
  index_t offset(std::uint64_t address) const;
  // Says that `bytes` from `address` on belong to one block or array alone. All claims together are at most the
  // size of the file, so that no walk over a crafted file goes on for longer than the file is.
  void claim(std::uint64_t address, std::uint64_t bytes, std::string_view what);
  // The bytes at `address` without a claim: to learn how large a block is. Fewer at the end of the file.
  std::vector<std::byte> peek(std::uint64_t address, std::size_t bytes) const;
  // Claims and reads a block. The checksum is in its last four bytes, which are left out.
  std::vector<std::byte> read(std::uint64_t address, std::uint64_t bytes, std::string_view signature);
  // The same where the checksum is at `checksum_at`, of the block with zeros there, and without a part left
  // out.
  std::vector<std::byte> read_with_inner_checksum(std::uint64_t address, std::uint64_t bytes,
                                                  std::string_view signature, std::size_t checksum_at);
  // At the end: throws a Failure if two claims overlap.
  void check_claims();

 private:
  std::vector<std::byte> claimed_bytes(std::uint64_t address, std::uint64_t bytes, std::string_view signature);

  const files::File& file_;
  index_t size_ = 0;
  index_t claimed_ = 0;
  std::vector<std::pair<index_t, index_t>> claims_;  // begin and end
};

}  // namespace switchyard::checkpoint::detail
