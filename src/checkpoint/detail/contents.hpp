// What a checkpoint holds and where, found without libhdf5, which is not made for hostile files: version 1.10
// crashes on some. Only the layout that file_writer.hpp makes is accepted: superblock 3, object headers of
// version 2, hard links, contiguous arrays inside the file, attributes `crc32` and `header` of the type that we
// write. Everything else (external files, chunks, filters, named types, links elsewhere, blocks over each
// other) is a Failure. The cost is bounded by the size of the file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.hpp"
#include "checkpoint/detail/pieces.hpp"
#include "files/file.hpp"

namespace switchyard::checkpoint::detail {

// Every data set has one: CRC-32 (IEEE, as zlib) of its raw little-endian bytes.
inline constexpr const char* checksum_attribute = "crc32";
// Marks a data set that came from a Header and not from a Slice.
inline constexpr const char* header_attribute = "header";

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
  index_t offset = 0;                  // of its bytes in the file
  std::optional<std::uint32_t> crc32;  // as stored

  index_t elements() const { return tensor::element_count(shape); }
  index_t bytes() const { return kind == Kind::text ? text_bytes : elements() * element_bytes(dtype); }
};

inline constexpr std::size_t most_dimensions = 32;  // of HDF5

// What may name a data set: "parameters/gate/weight". Bounded in length and depth, names without control
// characters. The writer asks this too, so that it writes nothing that cannot be read.
bool is_path(std::string_view path);

// Sorted by path. Local. Throws Failure: path, what and its value.
std::vector<Entry> contents_of(const files::File& file);

}  // namespace switchyard::checkpoint::detail
