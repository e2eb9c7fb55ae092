// Reads the HDF5 part of one checkpoint.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.hpp"
#include "checkpoint/detail/hdf5.hpp"

namespace switchyard::checkpoint::detail {

// One data set.
struct Entry {
  enum class Kind {
    array,
    header_value,
    text
  };  // from a Slice; from Header::integers or numbers; from Header::texts

  std::string path;
  Kind kind = Kind::array;
  DType dtype = DType::float32;  // not of a text
  tensor::Shape shape;
  index_t text_bytes = 0;

  index_t elements() const { return tensor::element_count(shape); }
  index_t bytes() const { return kind == Kind::text ? text_bytes : elements() * element_bytes(dtype); }
};

// Opens a file that has been verified (user_block.hpp): libhdf5 is not made for damaged ones. Local; used by
// one thread; takes the library's lock in each call. Errors are Failures.
class FileReader {
 public:
  explicit FileReader(const std::filesystem::path& file);
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // Sorted by path.
  const std::vector<Entry>& entries() const { return entries_; }
  // nullptr if there is none.
  const Entry* find(std::string_view path) const;

  void read_rows(const Entry& entry, RowRange range, std::byte* data) const;
  void read_piece(const Entry& entry, const Piece& piece, std::byte* data) const;
  // Calls `use` with each piece of a number or an array, in row-major order. The bytes are valid until it
  // returns.
  void for_each_piece(const Entry& entry,
                      const std::function<void(const Piece&, std::span<const std::byte>)>& use) const;
  std::string read_text(const Entry& entry) const;
  std::int64_t read_integer(const Entry& entry) const;
  double read_number(const Entry& entry) const;

  std::uint32_t stored_crc32(const Entry& entry) const;
  // Of the raw bytes, as they are now.
  std::uint32_t computed_crc32(const Entry& entry) const;

 private:
  Entry describe(const std::string& path) const;
  std::string raw_text(const Entry& entry) const;

  std::filesystem::path path_;
  FileId file_;
  std::vector<Entry> entries_;
};

}  // namespace switchyard::checkpoint::detail
