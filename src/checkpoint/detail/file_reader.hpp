// Reads the HDF5 part of one checkpoint.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/span.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/detail/contents.hpp"
#include "checkpoint/detail/pieces.hpp"
#include "checkpoint/detail/user_block.hpp"

namespace switchyard::checkpoint::detail {

// Throws the DataError of a checkpoint, or another file with its mark, that cannot be read: `reason` with the
// file's name and what to try.
[[noreturn]] void throw_unreadable(const std::filesystem::path& file, const std::string& reason,
                                   std::string_view mark);

// Runs `action`, which reads `file`, and turns a Failure into that DataError.
template <class Action>
decltype(auto) reading(const std::filesystem::path& file, Action&& action, std::string_view mark = file_mark) {
  try {
    return action();
  } catch (const Failure& failure) {
    throw_unreadable(file, failure.what(), mark);
  }
}

// Opens a file that has been verified (user_block.hpp). Local; used by one thread; libhdf5 has no part in it
// (contents.hpp). Errors are Failures.
class FileReader {
 public:
  explicit FileReader(const std::filesystem::path& file, std::string_view mark = file_mark);

  const std::filesystem::path& path() const { return path_; }
  std::string_view mark() const { return mark_; }
  // Sorted by path.
  const std::vector<Entry>& entries() const { return entries_; }
  // nullptr if there is none.
  const Entry* find(std::string_view path) const;

  // Entries are those of this file: they say where in it the bytes are.
  void read_elements(const Entry& entry, IndexRange elements, std::byte* data) const;
  void read_piece(const Entry& entry, const Piece& piece, std::byte* data) const;
  // Calls `use` with each piece of a number or an array, in row-major order. The bytes are valid until it
  // returns.
  void for_each_piece(const Entry& entry,
                      const std::function<void(const Piece&, Span<const std::byte>)>& use) const;
  std::string read_text(const Entry& entry) const;
  // T is the type of the entry.
  template <class T>
  T read_number(const Entry& entry) const {
    T value = 0;
    read_elements(entry, all_elements(entry.shape), reinterpret_cast<std::byte*>(&value));
    return value;
  }

  std::string digest() const;
  std::uint32_t stored_crc32(const Entry& entry) const;
  // Of the raw bytes, as they are now.
  std::uint32_t computed_crc32(const Entry& entry) const;

 private:
  std::string raw_text(const Entry& entry) const;

  std::filesystem::path path_;
  std::string_view mark_;  // a constant's text
  files::File file_;
  std::vector<Entry> entries_;
};

}  // namespace switchyard::checkpoint::detail
