// Writes the HDF5 part of one checkpoint, front to back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>

#include "base/span.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/detail/pieces.hpp"
#include "checkpoint/hdf5.hpp"

namespace switchyard::checkpoint::detail {

enum class ReserveSpace { yes, no };  // no: for tests of a disk that fills up later

// Creates the file, takes values and arrays in any order that the caller repeats for the same content (object
// addresses follow it), and closes it. The same calls give the same bytes: no times, no padding that is not
// zero. Used by one thread; takes the library's lock in each call. Errors are Failures. Destroyed before
// close() has returned, it gives the disk space back; removing the name is the caller's.
class FileWriter {
 public:
  // Fails if the file exists. `expected_bytes` are reserved, so that a full disk is found before hours of
  // writing.
  FileWriter(const std::filesystem::path& file, index_t expected_bytes, ReserveSpace reserve);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  void write(const std::string& path, std::int64_t value);
  void write(const std::string& path, double value);
  void write(const std::string& path, const std::string& text);

  // The schema version, then all of the header.
  void write(const Header& header);

  // An array: begin, its pieces in row-major order, end.
  void begin_array(const std::string& path, DType dtype, const tensor::Shape& shape);
  void append(const Piece& piece, Span<const std::byte> data);
  void end_array();

  // The library writes what it still holds. It cannot be asked again: after a failure, the file and what the
  // library keeps of it are left alone until the process ends.
  void close();

 private:
  void reserve(index_t bytes);
  void create_groups_above(const std::string& path);
  hdf5::DatasetId create(const std::string& path, hid_t type, const tensor::Shape& shape);
  void write_header_value(const std::string& path, hid_t type, Span<const std::byte> bytes);
  void abandon() noexcept;

  std::filesystem::path path_;
  hdf5::FileId file_;
  bool closed_ = false;
  hdf5::PropertiesId group_creation_;
  hdf5::PropertiesId dataset_creation_;
  std::set<std::string> groups_;
  // The array under way.
  hdf5::DatasetId array_;
  std::string array_path_;
  hid_t array_type_ = H5I_INVALID_HID;
  std::uint32_t array_crc32_ = 0;
};

}  // namespace switchyard::checkpoint::detail
