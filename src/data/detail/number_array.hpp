// The numbers of samples where they lie: in memory, or in a file that is too large for it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/span.hpp"
#include "files/file.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::data::detail {

// What a number is stored as, little-endian. uint8 is a pixel, value / 255.
enum class NumberType { uint8, float32, float64 };
index_t bytes_of(NumberType type);
std::string_view name(NumberType type);

// Row-major, without gaps. Immutable: any number of threads may read from it at once.
class NumberArray {
 public:
  // `name` is for messages: "own.h5: train/samples". `values` has shape's count of them.
  NumberArray(std::string name, NumberType type, tensor::Shape shape, std::vector<std::byte> values);
  // Of a file, from byte `offset` on. DataError if the file ends before the last number.
  NumberArray(std::string name, NumberType type, tensor::Shape shape, files::File file, index_t offset);

  const std::string& name() const { return name_; }
  NumberType type() const { return type_; }
  const tensor::Shape& shape() const { return shape_; }
  index_t rows() const { return shape_[0]; }
  index_t row_size() const { return row_size_; }

  // out[i] = the number at numbers.begin + i; a float64 is rounded. Allocates nothing. DataError if the file
  // was changed since it was opened, or cannot be read.
  void read(IndexRange numbers, float* out) const;

 private:
  void expect_unchanged() const;

  std::string name_;
  NumberType type_;
  tensor::Shape shape_;
  index_t row_size_;
  std::vector<std::byte> values_;  // where there is no file
  files::File file_;
  files::File::State opened_{};
  index_t offset_ = 0;
};

}  // namespace switchyard::data::detail
