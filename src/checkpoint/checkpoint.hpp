// Checkpoints: one HDF5 file per step, free of any layout.
//
// checkpoint: HDF5 handles; write, publish, verify, load, compare. It stores named arrays and scalars; what
// they mean is run/'s business. hdf5.h is included in detail/ only.
//
// The file: a 512-byte user block (magic, schema version, file size, XXH3-128 of all bytes behind the block),
// then HDF5 (libver v110). Every data set has the attribute `crc32` of its raw little-endian bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/partition.hpp"
#include "base/span.hpp"
#include "comm/communicator.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::checkpoint {

namespace detail {
class FileReader;
}

inline constexpr int schema_version = 2;

// The library as it is loaded: "HDF5 1.10.8".
std::string hdf5_library();

// The wider unsigned and the narrower signed ones are of files of arrays that are no checkpoints:
// write_arrays().
enum class DType { float32, float64, int64, uint8, uint16, uint32, int8, int16, int32 };

// A run of elements, in row-major order, of the array `path`, of which this rank holds the one valid copy. A
// scalar has an empty shape and one element.
struct Slice {
  std::string path;  // "parameters/gate/dense_1/weight"
  DType dtype = DType::float32;
  tensor::Shape shape;  // of the whole array
  IndexRange elements;
  std::byte* data = nullptr;  // read when saving, written when loading
};

inline IndexRange all_elements(const tensor::Shape& shape) { return {0, tensor::element_count(shape)}; }

// What is written once, the same on every rank: scalar data sets, as arrays are data sets. All paths of slices
// and header differ, and none is the group of another. "schema_version" is ours.
struct Header {
  std::map<std::string, std::int64_t> integers;  // "state/step"
  std::map<std::string, double> numbers;
  std::map<std::string, std::string> texts;  // "config", "build"
};

// What a checkpoint is made of: on the writing rank the header, and the slices of each rank.
struct Snapshot {
  index_t step = 0;
  const Header& header;
  Span<const Slice> slices;
};

// The folder RUN/checkpoints: step-0000200.h5 files, the pointers `latest` and `best` (text files with a file
// name).
struct SaveOptions {
  index_t keep_last = 2;  // at least 1
  bool is_best = false;   // moves `best` here too
};

// Collective. Writes folder/step-NNNNNNN.h5 in bounded pieces through the root rank: to a temporary name,
// flush, fsync, rename, fsync the folder, then moves `latest` and removes what is neither among the last
// `keep_last` nor best. Slices of all ranks together cover every array once. On failure (a full disk, an
// unwritable folder) every rank throws the same DataError and the folder holds what it held before. The folder
// must exist; temporary files in it that an interrupted run has left are removed. The root holds at most 8 MiB
// of the others' data at a time. One process may write to a folder.
void save(comm::Communicator& communicator, const std::filesystem::path& folder, const Snapshot& snapshot,
          const SaveOptions& options);

// What every checkpoint begins with.
inline constexpr std::string_view file_mark = "SYCKPT\r\n";
// What files of write_arrays() begin with, which are no checkpoints: samples, and the tokens of a text.
inline constexpr std::string_view arrays_mark = "SYARRS\r\n";
inline constexpr std::string_view tokens_mark = "SYTOKS\r\n";

// Local. Writes `file` in the format of a checkpoint, whole or not at all: each slice is a whole array. Throws
// DataError.
void write_arrays(const std::filesystem::path& file, const Header& header, Span<const Slice> arrays,
                  std::string_view mark = arrays_mark);

// An array that is made while it is written: make() fills `bytes` with those elements, in row-major order,
// piece after piece. What it throws ends the writing.
struct MadeArray {
  std::string path;
  DType dtype = DType::float32;
  tensor::Shape shape;
  std::function<void(IndexRange elements, Span<std::byte> bytes)> make;
};
// The same of arrays of any size: 8 MiB are in memory at a time.
void write_arrays(const std::filesystem::path& file, const Header& header, Span<const MadeArray> arrays,
                  std::string_view mark = arrays_mark);

// Where the checkpoint of `step` is, or would be.
std::filesystem::path path_of(const std::filesystem::path& folder, index_t step);

// The newest checkpoint of `folder` that is whole: `latest` if it verifies (bytes and digest), else older
// ones by step, then newer ones, with a warning that names what was passed over. Local. Throws DataError if
// there is none.
std::filesystem::path newest_valid(const std::filesystem::path& folder);

// The checkpoint of `folder` that `name` says: what the pointers "best" and "latest" name, or a step. Whether
// the file is whole is not looked at. Local. Throws DataError if there is none, with what there is; ConfigError
// for another word.
std::filesystem::path named(const std::filesystem::path& folder, std::string_view name);

// Makes `best` name the checkpoint of `step`, if that is there: a run may have been killed between giving the
// checkpoint its name and moving the pointers. Local; for the process that writes to the folder. Throws
// DataError.
void point_best(const std::filesystem::path& folder, index_t step);

// Removes all checkpoints of `folder` but the one that `best` names; `latest` goes, too, unless it names the
// same. False, and nothing is removed, if there is no best one. What cannot be removed is a warning. Local.
bool keep_best_alone(const std::filesystem::path& folder);

// An open checkpoint, or another file with its mark, verified.
class Reader {
 public:
  // Local. Verifies the whole file first (magic, schema, size, digest), before a byte of its content is used.
  explicit Reader(const std::filesystem::path& file, std::string_view mark = file_mark);
  // Collective: the root verifies, all agree, then every rank opens.
  Reader(comm::Communicator& communicator, const std::filesystem::path& file);
  ~Reader();
  Reader(Reader&&) noexcept;

  std::int64_t integer(const std::string& path) const;
  double number(const std::string& path) const;
  std::string text(const std::string& path) const;
  bool contains(const std::string& path) const;
  // Of all bytes behind the user block, in hexadecimal digits: what `switchyard inspect` prints.
  std::string digest() const;
  // All arrays (not the header), sorted by path, with shape and type; data is null.
  std::vector<Slice> arrays() const;
  // Reads the elements that `slice` names into slice.data. Throws DataError if the array is missing or has
  // another shape or type, with both values.
  void read(const Slice& slice) const;

 private:
  std::unique_ptr<detail::FileReader> file_;
};

// `switchyard verify`: checks the digest, the schema and every data set's CRC. Throws DataError that says what
// and where.
void verify(const std::filesystem::path& file);
// `switchyard inspect`: header, a table of arrays (shape, min, max, mean, share of zeros), totals. Verifies the
// bytes and reads every array. Throws DataError.
std::string inspect(const std::filesystem::path& file);

struct Difference {
  bool equal = true;
  // Lines: the first array (by path) and index that differ, with both values and their bits; up to ten arrays
  // with the number of elements that differ or what is missing; how many arrays differ in all.
  std::string text;
};
// `switchyard diff`: bit for bit by default; `tolerance` is an absolute bound on floating-point differences.
// Compares all arrays, and the integers and numbers under "state/"; texts (the configuration, the build) and
// what is under "info/" do not count.
Difference diff(const std::filesystem::path& a, const std::filesystem::path& b, double tolerance = 0);

}  // namespace switchyard::checkpoint
