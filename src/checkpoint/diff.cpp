// Whether two checkpoints hold the same.

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstring>
#include <memory>
#include <set>
#include <type_traits>

#include "base/span.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/detail/file_reader.hpp"

namespace switchyard::checkpoint {
namespace {

namespace fs = std::filesystem;
using detail::Entry;
using detail::FileReader;

constexpr std::size_t most_listed = 10;  // arrays, and missing paths

// Arrays, and the state's integers and numbers. Texts (the configuration, the build) and what only informs do
// not count.
bool counts(const Entry& entry) {
  if (entry.kind == Entry::Kind::header_value) return entry.path.starts_with("state/");
  return entry.kind == Entry::Kind::array && !entry.path.starts_with("info/");
}

// "0.125 (0x3e000000)": enough digits to tell two values apart, and the bits for those that print alike.
std::string show(float x) { return fmt::format("{:.9g} (0x{:08x})", x, std::bit_cast<std::uint32_t>(x)); }
std::string show(double x) { return fmt::format("{:.17g} (0x{:016x})", x, std::bit_cast<std::uint64_t>(x)); }
template <std::integral T>
std::string show(T x) {
  return fmt::format("{} (0x{:x})", x, static_cast<std::make_unsigned_t<T>>(x));
}

// Integers are compared exactly whatever the tolerance. NaN is within no tolerance, but equal to the same bits.
template <std::integral T>
bool close(T, T, double) {
  return false;
}
template <class T>
bool close(T a, T b, double tolerance) {
  return tolerance > 0 && std::abs(static_cast<double>(a) - static_cast<double>(b)) <= tolerance;
}

struct ArrayDifference {
  index_t differing = 0;
  index_t first_element = 0;
  std::string first_a, first_b;
  double largest = 0;  // |a - b|, of what is not NaN

  // The elements from `offset` on, of both files.
  template <class T>
  void add(Span<const std::byte> a, Span<const std::byte> b, index_t offset, double tolerance) {
    if (std::memcmp(a.data(), b.data(), a.size()) == 0) return;
    for (std::size_t at = 0; at < a.size(); at += sizeof(T)) {
      if (std::memcmp(a.data() + at, b.data() + at, sizeof(T)) == 0) continue;
      T x, y;
      std::memcpy(&x, a.data() + at, sizeof x);
      std::memcpy(&y, b.data() + at, sizeof y);
      if (close(x, y, tolerance)) continue;
      if (differing++ == 0) {
        first_element = offset + static_cast<index_t>(at / sizeof(T));
        first_a = show(x);
        first_b = show(y);
      }
      const double distance = std::abs(static_cast<double>(x) - static_cast<double>(y));
      if (distance > largest) largest = distance;
    }
  }
};

// `entry` is of `a`, `entry_b` of `b`: the same type and shape, in another place.
ArrayDifference compare_elements(const FileReader& a, const Entry& entry, const FileReader& b,
                                 const Entry& entry_b, double tolerance) {
  ArrayDifference difference;
  Vector<std::byte> buffer(std::min(entry.bytes(), detail::piece_bytes));
  const auto compare_piece = [&](const detail::Piece& piece, Span<const std::byte> bytes_a) {
    const auto bytes_b = Span(buffer).first(bytes_a.size());
    detail::reading(b.path(), [&] { b.read_piece(entry_b, piece, bytes_b.data()); });
    switch (entry.dtype) {
      case DType::float32:
        return difference.add<float>(bytes_a, bytes_b, piece.first_element, tolerance);
      case DType::float64:
        return difference.add<double>(bytes_a, bytes_b, piece.first_element, tolerance);
      case DType::int64:
        return difference.add<std::int64_t>(bytes_a, bytes_b, piece.first_element, tolerance);
      case DType::uint8:
        return difference.add<std::uint8_t>(bytes_a, bytes_b, piece.first_element, tolerance);
      case DType::uint16:
        return difference.add<std::uint16_t>(bytes_a, bytes_b, piece.first_element, tolerance);
      case DType::uint32:
        return difference.add<std::uint32_t>(bytes_a, bytes_b, piece.first_element, tolerance);
      case DType::int8:
        return difference.add<std::int8_t>(bytes_a, bytes_b, piece.first_element, tolerance);
      case DType::int16:
        return difference.add<std::int16_t>(bytes_a, bytes_b, piece.first_element, tolerance);
      case DType::int32:
        return difference.add<std::int32_t>(bytes_a, bytes_b, piece.first_element, tolerance);
    }
  };
  detail::reading(a.path(), [&] { a.for_each_piece(entry, compare_piece); });
  return difference;
}

// " at [3, 5] (element 29)"; nothing for a scalar.
std::string place(index_t element, const tensor::Shape& shape) {
  if (shape.empty()) return "";
  std::string index;
  index_t rest = element;
  for (std::size_t d = shape.size(); d-- > 0; rest /= shape[d])
    index = fmt::format("{}{}{}", rest % shape[d], index.empty() ? "" : ", ", index);
  return fmt::format(" at [{}] (element {})", index, element);
}

// Compares path by path and keeps what to say about those that differ.
class Comparison {
 public:
  Comparison(const FileReader& a, const FileReader& b, double tolerance)
      : a_(a), b_(b), tolerance_(tolerance) {}

  void compare(const std::string& path) {
    ++compared_;
    const Entry* a = a_.find(path);
    const Entry* b = b_.find(path);
    if (a == nullptr || b == nullptr) {
      const std::string text =
          fmt::format("'{}' is in '{}' only", path, (a != nullptr ? a_ : b_).path().string());
      return note(text, text);
    }
    if (a->kind != b->kind || a->dtype != b->dtype || a->shape != b->shape) {
      const std::string text =
          fmt::format("'{}' is {} in the first, {} in the second", path, describe(*a), describe(*b));
      return note(text, text);
    }
    elements_ += a->elements();
    const ArrayDifference found = compare_elements(a_, *a, b_, *b, tolerance_);
    if (found.differing == 0) return;
    note(fmt::format("'{}'{}: {} in the first, {} in the second", path, place(found.first_element, a->shape),
                     found.first_a, found.first_b),
         fmt::format("'{}': {} of {} elements differ, by up to {:.3g}", path, found.differing, a->elements(),
                     found.largest));
  }

  Difference result() const {
    if (differing_ == 0) {
      const std::string bound = tolerance_ > 0 ? fmt::format("within {:g}", tolerance_) : "bit for bit";
      return {true, fmt::format("the same {}: {} arrays and state values, {} elements\n", bound, compared_,
                                elements_)};
    }
    std::string text = fmt::format("first difference: {}\n", first_);
    for (const std::string& line : lines_) text += "  " + line + "\n";
    if (differing_ > lines_.size()) text += fmt::format("  and {} more\n", differing_ - lines_.size());
    text += fmt::format("{} of {} arrays and state values differ\n", differing_, compared_);
    return {false, text};
  }

 private:
  static std::string describe(const Entry& entry) {
    if (entry.kind == Entry::Kind::text) return "a text";
    return fmt::format("{}{} {}", entry.kind == Entry::Kind::array ? "" : "a header value, ",
                       detail::name(entry.dtype), tensor::to_string(entry.shape));
  }
  // `first` is said if this is the first difference, `line` in the list.
  void note(const std::string& first, const std::string& line) {
    if (differing_++ == 0) first_ = first;
    if (lines_.size() < most_listed) lines_.push_back(line);
  }

  const FileReader& a_;
  const FileReader& b_;
  double tolerance_;
  std::size_t compared_ = 0, differing_ = 0;
  index_t elements_ = 0;
  std::string first_;
  std::vector<std::string> lines_;
};

std::unique_ptr<FileReader> open_verified(const fs::path& file) {
  return detail::reading(file, [&] {
    detail::verify_bytes(file);
    return std::make_unique<FileReader>(file);
  });
}

}  // namespace

Difference diff(const fs::path& a, const fs::path& b, double tolerance) {
  const auto reader_a = open_verified(a);
  const auto reader_b = open_verified(b);
  std::set<std::string> paths;
  for (const FileReader* reader : {reader_a.get(), reader_b.get()})
    for (const Entry& entry : reader->entries())
      if (counts(entry)) paths.insert(entry.path);
  Comparison comparison(*reader_a, *reader_b, tolerance);
  for (const std::string& path : paths) comparison.compare(path);
  return comparison.result();
}

}  // namespace switchyard::checkpoint
