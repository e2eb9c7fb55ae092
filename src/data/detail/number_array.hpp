// The numbers of samples where they lie: in memory, or in a file that is too large for it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "base/ids.hpp"
#include "base/span.hpp"
#include "files/file.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::data::detail {

// What a number is stored as, little-endian. uint8 is a pixel, value / 255.
enum class NumberType { uint8, int8, int16, int32, float32, float64 };
index_t bytes_of(NumberType type);
std::string_view name(NumberType type);

// Row-major, without gaps. Immutable: any number of threads may read from it at once.
class NumberArray {
 public:
  // `name` is for messages: "own.h5: train/samples". `bytes` has shape's count of numbers.
  NumberArray(std::string name, NumberType type, tensor::Shape shape, Vector<std::uint8_t> bytes);
  // Of a file, from byte `offset` on. DataError if the file ends before the last number.
  NumberArray(std::string name, NumberType type, tensor::Shape shape, files::File file, index_t offset);

  const std::string& name() const { return name_; }
  NumberType type() const { return type_; }
  const tensor::Shape& shape() const { return shape_; }
  index_t rows() const { return shape_[0]; }
  index_t row_size() const { return row_size_; }

  // out[i] = the number at numbers.begin + i; a float64 or an int32 is rounded. Allocates nothing. DataError if
  // the file was changed since it was opened, or cannot be read.
  void read(IndexRange numbers, float* out) const;
  // The same numbers as they are stored. `out` has as many bytes.
  void read_bytes(IndexRange numbers, Span<std::byte> out) const;
  // Where the number lies in memory, as it is stored; null if the array is in a file.
  const std::uint8_t* in_memory(index_t number) const {
    return file_ ? nullptr : bytes_.data() + number * bytes_of(type_);
  }

 private:
  void expect_unchanged() const;

  std::string name_;
  NumberType type_;
  tensor::Shape shape_;
  index_t row_size_;
  Vector<std::uint8_t> bytes_;  // where there is no file
  files::File file_;
  files::File::State opened_{};
  index_t offset_ = 0;
};

// Numbers that come one after another, to become an array: kept in memory, or, where a folder is given, beyond
// 64 MiB in a file there that has no name.
class NumberSpool {
 public:
  // `folder`: empty where all is to be in memory. `expected_bytes`, if they are known, spare memory; what
  // really comes may be less.
  explicit NumberSpool(std::filesystem::path folder, index_t expected_bytes = 0)
      : folder_(std::move(folder)), expected_bytes_(expected_bytes) {}

  // As they are stored. DataError if the folder takes no more.
  void append(Span<const std::uint8_t> bytes);
  index_t size_bytes() const { return filed_bytes_ + std::ssize(bytes_); }
  // All of them. Once.
  NumberArray array(std::string name, NumberType type, tensor::Shape shape);

 private:
  void spill();

  std::filesystem::path folder_;
  index_t expected_bytes_;
  Vector<std::uint8_t> bytes_;  // those that are not in the file
  files::File file_;
  index_t filed_bytes_ = 0;
};

}  // namespace switchyard::data::detail
