// IDX files, the format of MNIST and Fashion-MNIST: a big-endian header (two zeros, the type, how many
// dimensions, the size of each), then the numbers, big-endian.
#pragma once

#include <filesystem>
#include <string>

#include "base/ids.hpp"
#include "data/detail/number_array.hpp"
#include "data/detail/table_source.hpp"

namespace switchyard::data {

// Of any type that the format knows (uint8, int8, int16, int32, float32, float64) and 1 to 4 dimensions, or
// `dimension_count` if that is not 0. It is called as the file that was read, `file`, or `file`.gz if `file`
// does not exist. Whether the content is compressed is seen from the content, since downloads are often
// unpacked, or not, behind the name's back. `spool_folder`: as NumberSpool's.
//
// Blocking and local. Throws DataError, naming the file, what was expected and what was found: neither file
// exists, the file cannot be read, it is no IDX file with such dimensions, it ends early or goes on after the
// last number, a dimension is 0, or the compressed stream is damaged. Memory grows with what the file really
// holds, never with what its header claims.
detail::NumberArray read_idx(const std::filesystem::path& file, int dimension_count = 0,
                             const std::string& spool_folder = {});

// One dimension of whole numbers. DataError, too, for numbers of another kind.
detail::LabelArray read_idx_labels(const std::filesystem::path& file);

}  // namespace switchyard::data
