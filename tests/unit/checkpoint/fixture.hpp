// What the tests of this room share: a folder of their own, content to save, and saving it from any number of
// ranks.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/detail/save.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::checkpoint {

namespace fs = std::filesystem;
using switchyard::test::TemporaryDirectory;

// A file system of this size in memory, mounted on a folder. Needs root: a test that cannot mount fails.
class SmallDisk {
 public:
  explicit SmallDisk(index_t size_bytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  const fs::path& path() const { return folder_.path(); }
  index_t free_bytes() const { return static_cast<index_t>(fs::space(path()).available); }
  void make_read_only();

 private:
  TemporaryDirectory folder_;
};

// The whole state, as one rank would hold it.
struct Content {
  struct Array {
    DType dtype = DType::float32;
    tensor::Shape shape;
    std::vector<std::byte> bytes;
  };
  Header header;
  std::map<std::string, Array> arrays;

  template <class T>
  void add(const std::string& path, DType dtype, tensor::Shape shape, const std::vector<T>& values) {
    const auto bytes = std::as_bytes(std::span(values));
    arrays[path] = {dtype, std::move(shape), {bytes.begin(), bytes.end()}};
  }
  // Values of an array, to change them.
  template <class T>
  std::span<T> values(const std::string& path) {
    auto& bytes = arrays.at(path).bytes;
    return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
};

// All types, scalars, an array without rows, one of 4 dimensions; values from a fixed sequence.
Content small_content();

// The slices that rank `rank` of `ranks` holds: elements dealt out unevenly (rank 1 of 3 gets none of most
// arrays).
std::vector<Slice> slices_of(Content& content, int rank, int ranks);

// Saves from that many ranks: 1 uses LocalCommunicator, more run as threads. Returns the file.
fs::path save_from(int ranks, const fs::path& folder, index_t step, Content& content,
                   const SaveOptions& options = {}, detail::ReserveSpace reserve = detail::ReserveSpace::yes);

// What `action` throws; the test fails if it throws nothing or another kind.
std::string message_of(ErrorKind kind, const std::function<void()>& action);

std::vector<std::byte> bytes_of_file(const fs::path& file);
void write_file(const fs::path& file, std::span<const std::byte> bytes);
std::vector<std::string> names_in(const fs::path& folder);  // sorted

}  // namespace switchyard::checkpoint
