// Files of named arrays in the safetensors format, which other programs read and write.
//
// interchange: models as files of other programs. It knows the format, and the layouts in which those programs
// hold a model; a layout is a file in layouts/ and a row of its table (layout.hpp).
//
// The file: the length of a header (8 bytes, little-endian), the header (a JSON object: name -> dtype, shape,
// data_offsets; and texts under __metadata__), and the raw little-endian bytes of all arrays, one behind the
// other without a gap.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/partition.hpp"
#include "base/span.hpp"
#include "files/file.hpp"
#include "files/replacement.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::interchange {

enum class ElementType { float32, bfloat16 };
index_t bytes_of(ElementType type);
// "F32", as headers have it.
std::string_view name(ElementType type);

struct StoredArray {
  ElementType type = ElementType::float32;
  tensor::Shape shape;
  IndexRange bytes;  // behind the header

  bool operator==(const StoredArray&) const = default;
};
using StoredArrays = std::map<std::string, StoredArray>;

// What a header says of `data_bytes` bytes behind it. Throws files::Failure for what breaks the format:
// anything that is not such an object, a name twice, another dtype, offsets that leave a gap or lie over each
// other, or do not fit the shape or the bytes that there are.
StoredArrays parse_header(std::string_view header, index_t data_bytes);

// An open file whose header was checked. Throws DataError that names the file.
class SafetensorsReader {
 public:
  explicit SafetensorsReader(const std::filesystem::path& file);

  const StoredArrays& arrays() const { return arrays_; }
  // All numbers of one of them, as floats: a bfloat16 is one.
  Vector<float> read(const StoredArray& array) const;

 private:
  files::File file_;
  index_t data_begin_ = 0;
  StoredArrays arrays_;
};

struct ArrayToWrite {
  std::string name;
  tensor::Shape shape;
};

// A new file, whole or absent. Arrays lie in their order; the header's length is a multiple of 8. Throws
// DataError; `place` is the option that chooses another place.
class SafetensorsWriter {
 public:
  SafetensorsWriter(const std::filesystem::path& file, ElementType type,
                    const std::vector<ArrayToWrite>& arrays, std::string_view place);

  // The numbers of the next array.
  void write(Span<const float> values);
  // After the last one.
  void publish() { file_.publish(); }

 private:
  ElementType type_;
  files::ReplacementFile file_;
};

}  // namespace switchyard::interchange
