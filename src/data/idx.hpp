// IDX files, the format of MNIST and Fashion-MNIST: a big-endian header (magic, one size per dimension), then
// the elements. Only unsigned bytes are read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/ids.hpp"
#include "base/span.hpp"

namespace switchyard::data {

struct IdxArray {
  std::filesystem::path file;       // the file that was read, with .gz where it has one
  std::vector<index_t> dimensions;  // each at least 1
  Vector<std::uint8_t> values;      // row-major: the product of the dimensions
};

// Reads an array of `dimension_count` dimensions from `file`, or from `file`.gz if `file` does not exist.
// Whether the content is compressed is seen from the content, since downloads are often unpacked, or not,
// behind the name's back.
//
// Blocking and local. Throws DataError, naming the file, what was expected and what was found: neither file
// exists, the file cannot be read, it is no IDX file of unsigned bytes with that many dimensions, it ends early
// or goes on after the last element, a dimension is 0, or the compressed stream is damaged. Memory grows with
// what the file really holds, never with what its header claims.
IdxArray read_idx(const std::filesystem::path& file, int dimension_count);

}  // namespace switchyard::data
