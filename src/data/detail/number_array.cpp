#include "data/detail/number_array.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "files/replacement.hpp"

namespace switchyard::data::detail {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are read as they lie in the file");

index_t row_size_of(const tensor::Shape& shape) {
  SY_EXPECTS(!shape.empty(), "numbers without a dimension");
  index_t size = 1;
  for (std::size_t d = 1; d < shape.size(); ++d) size *= shape[d];
  return size;
}

template <class T>
void convert(const std::uint8_t* from, index_t count, float* out) {
  for (index_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, from + i * static_cast<index_t>(sizeof value), sizeof value);
    out[i] = static_cast<float>(value);
  }
}

void to_floats(NumberType type, const std::uint8_t* from, index_t count, float* out) {
  switch (type) {
    case NumberType::uint8:
      return convert<std::uint8_t>(from, count, out);
    case NumberType::int8:
      return convert<std::int8_t>(from, count, out);
    case NumberType::int16:
      return convert<std::int16_t>(from, count, out);
    case NumberType::int32:
      return convert<std::int32_t>(from, count, out);
    case NumberType::float32:
      return convert<float>(from, count, out);
    case NumberType::float64:
      return convert<double>(from, count, out);
  }
}

struct TypeFacts {
  index_t bytes;
  std::string_view name;
};
constexpr std::array types = {TypeFacts{1, "uint8"}, TypeFacts{1, "int8"},    TypeFacts{2, "int16"},
                              TypeFacts{4, "int32"}, TypeFacts{4, "float32"}, TypeFacts{8, "float64"}};
static_assert(types.size() == as_size(NumberType::float64) + 1);

constexpr index_t most_spooled_bytes = index_t{64} << 20;

}  // namespace

index_t bytes_of(NumberType type) { return types[as_size(type)].bytes; }
std::string_view name(NumberType type) { return types[as_size(type)].name; }

NumberArray::NumberArray(std::string name, NumberType type, tensor::Shape shape, Vector<std::uint8_t> bytes)
    : name_(std::move(name)),
      type_(type),
      shape_(std::move(shape)),
      row_size_(row_size_of(shape_)),
      bytes_(std::move(bytes)) {
  SY_EXPECTS(std::ssize(bytes_) == rows() * row_size_ * bytes_of(type_), "{} bytes of {} numbers",
             bytes_.size(), rows() * row_size_);
}

NumberArray::NumberArray(std::string name, NumberType type, tensor::Shape shape, files::File file,
                         index_t offset)
    : name_(std::move(name)),
      type_(type),
      shape_(std::move(shape)),
      row_size_(row_size_of(shape_)),
      file_(std::move(file)),
      opened_(file_.state()),
      offset_(offset) {
  const index_t end = offset_ + rows() * row_size_ * bytes_of(type_);
  if (opened_.size_bytes >= end) return;
  throw DataError(fmt::format("{} ends behind byte {} of a file of {} (it is truncated); write it again", name_,
                              end, opened_.size_bytes));
}

void NumberArray::expect_unchanged() const {
  const files::File::State now = file_.state();
  if (now.size_bytes == opened_.size_bytes && now.modified_ns == opened_.modified_ns) return;
  throw DataError(
      fmt::format("{} was changed while it is read (its rows are read when a batch needs them); leave the "
                  "file alone as long as a run uses it, and start again",
                  name_));
}

void NumberArray::read(IndexRange numbers, float* out) const {
  SY_EXPECTS(numbers.begin >= 0 && numbers.end <= rows() * row_size_, "numbers {} to {} of {}", numbers.begin,
             numbers.end, rows() * row_size_);
  const index_t bytes = bytes_of(type_);
  if (!file_) return to_floats(type_, in_memory(numbers.begin), numbers.size(), out);
  std::array<std::uint8_t, 16384> buffer;
  const index_t most = std::ssize(buffer) / bytes;
  for (index_t at = numbers.begin; at < numbers.end; at += most) {
    const index_t count = std::min(most, numbers.end - at);
    read_bytes({at, at + count}, std::as_writable_bytes(Span(buffer).first(count * bytes)));
    to_floats(type_, buffer.data(), count, out + (at - numbers.begin));
  }
}

void NumberArray::read_bytes(IndexRange numbers, Span<std::byte> out) const {
  const index_t bytes = bytes_of(type_);
  SY_EXPECTS(
      numbers.begin >= 0 && numbers.end <= rows() * row_size_ && std::ssize(out) == numbers.size() * bytes,
      "numbers {} to {} of {} into {} bytes", numbers.begin, numbers.end, rows() * row_size_, out.size());
  if (!file_) {
    if (!out.empty()) std::memcpy(out.data(), in_memory(numbers.begin), out.size());
    return;
  }
  expect_unchanged();
  try {
    file_.read_at(offset_ + numbers.begin * bytes, out);
  } catch (const files::Failure& failure) {
    throw DataError(fmt::format("{} cannot be read ({}); look at the disk", name_, failure.what()));
  }
}

void NumberSpool::append(Span<const std::uint8_t> bytes) {
  if (!folder_.empty() && std::ssize(bytes_) + std::ssize(bytes) > most_spooled_bytes) spill();
  // Space doubles as bytes arrive, but not beyond what is expected.
  const index_t needed = std::ssize(bytes_) + std::ssize(bytes);
  if (as_size(needed) > bytes_.capacity() && needed <= expected_bytes_)
    bytes_.reserve(std::min(expected_bytes_, std::max(needed, 2 * static_cast<index_t>(bytes_.capacity()))));
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void NumberSpool::spill() {
  files::with_remedy("--out=FILE", [&] {
    if (!file_) {
      // Removed at once: the file lives as long as it is open.
      const files::TemporaryName name(folder_ / "numbers", files::suffix_of_process());
      file_ = files::File(name.path(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW);
    }
    file_.write_at(filed_bytes_, std::as_bytes(Span<const std::uint8_t>(bytes_)));
  });
  filed_bytes_ += std::ssize(bytes_);
  bytes_.clear();
}

NumberArray NumberSpool::array(std::string name, NumberType type, tensor::Shape shape) {
  if (!file_) return {std::move(name), type, std::move(shape), std::move(bytes_)};
  spill();
  bytes_ = {};
  return {std::move(name), type, std::move(shape), std::move(file_), 0};
}

}  // namespace switchyard::data::detail
