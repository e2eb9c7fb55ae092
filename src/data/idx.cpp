#include "data/idx.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "base/span.hpp"
#include "data/detail/byte_reader.hpp"

namespace switchyard::data {
namespace {

namespace fs = std::filesystem;
using detail::NumberType;

fs::path existing_file(const fs::path& file) {
  if (auto found = detail::plain_or_compressed(file)) return *std::move(found);
  // "train-images.idx3-ubyte", as some unpackers and download pages have it.
  std::string dotted = file.filename().string();
  if (const std::size_t dash = dotted.find("-idx"); dash != std::string::npos) dotted[dash] = '.';
  if (auto found = detail::plain_or_compressed(file.parent_path() / dotted)) return *std::move(found);
  throw DataError(fmt::format(
      "neither {} nor {} exists; install the Debian package dataset-fashion-mnist "
      "(data.dir = /usr/share/datasets/fashion-mnist) or set data.dir to the folder of the four IDX files",
      file.string(), file.filename().string() + ".gz"));
}

std::uint32_t big_endian(Span<const std::uint8_t> bytes, index_t at) {
  return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 |
         std::uint32_t{bytes[at + 2]} << 8 | bytes[at + 3];
}

std::optional<NumberType> type_of(std::uint8_t code) {
  constexpr std::array<std::pair<std::uint8_t, NumberType>, 6> codes = {{{0x08, NumberType::uint8},
                                                                         {0x09, NumberType::int8},
                                                                         {0x0B, NumberType::int16},
                                                                         {0x0C, NumberType::int32},
                                                                         {0x0D, NumberType::float32},
                                                                         {0x0E, NumberType::float64}}};
  for (const auto& [of_file, type] : codes) {
    if (code == of_file) return type;
  }
  return std::nullopt;
}

struct Header {
  NumberType type;
  tensor::Shape shape;
};

[[noreturn]] void fail_too_short(const fs::path& file, std::size_t got, std::size_t needed) {
  throw DataError(fmt::format("{} ends after {} bytes (its header alone has {}); install or download it again",
                              file.string(), got, needed));
}

Header read_header(detail::ByteReader& reader, const fs::path& file, int dimension_count) {
  std::array<std::uint8_t, 4> magic{};
  // Only a complete magic can be wrong; a shorter file is too short.
  if (const std::size_t got = reader.read(magic); got < magic.size())
    fail_too_short(file, got, 4 + 4 * as_size(std::max(1, dimension_count)));
  const std::optional<NumberType> type = type_of(magic[2]);
  const int dimensions = magic[3];
  const bool is_idx = magic[0] == 0 && magic[1] == 0 && type && dimensions >= 1 && dimensions <= 4;
  if (!is_idx || (dimension_count != 0 && dimensions != dimension_count))
    throw DataError(fmt::format(
        "{} starts with {:#010x} (an IDX file {}starts with 0x0000, its type, 08 to 0e, and its dimensions, {}); "
        "check that data.dir holds the four files of MNIST or Fashion-MNIST, or files like them, under their own "
        "names",
        file.string(), big_endian(magic, 0),
        dimension_count == 0
            ? ""
            : fmt::format("of {} {} ", dimension_count, dimension_count == 1 ? "dimension" : "dimensions"),
        dimension_count == 0 ? "01 to 04" : fmt::format("{:02x}", dimension_count)));
  std::vector<std::uint8_t> sizes(as_size(4 * dimensions));
  if (const std::size_t got = reader.read(sizes); got < sizes.size())
    fail_too_short(file, magic.size() + got, magic.size() + sizes.size());
  Header header{*type, {}};
  for (int d = 0; d < dimensions; ++d) header.shape.push_back(big_endian(sizes, 4 * d));
  return header;
}

index_t byte_count(const Header& header, const fs::path& file) {
  index_t count = detail::bytes_of(header.type);
  for (const index_t size : header.shape) {
    if (size == 0 || count > std::numeric_limits<index_t>::max() / size)
      throw DataError(
          fmt::format("{} has dimensions {} (each must be at least 1, and their product below 2^63); "
                      "install or download it again",
                      file.string(), fmt::join(header.shape, " x ")));
    count *= size;
  }
  return count;
}

// Numbers of so many bytes change between big-endian and little-endian.
void swap_bytes(Span<std::uint8_t> numbers, index_t bytes) {
  if (bytes == 1) return;
  for (auto at = numbers.begin(); at < numbers.end(); at += bytes) std::reverse(at, at + bytes);
}

template <class T>
std::vector<std::int64_t> widened(const detail::NumberArray& numbers) {
  std::vector<T> values(as_size(numbers.rows()));
  numbers.read_bytes({0, numbers.rows()}, std::as_writable_bytes(Span(values)));
  return {values.begin(), values.end()};
}

}  // namespace

detail::NumberArray read_idx(const fs::path& file, int dimension_count, const std::string& spool_folder) {
  SY_EXPECTS(dimension_count >= 0 && dimension_count <= 4, "{} dimensions", dimension_count);
  const fs::path found = existing_file(file);
  detail::ByteReader reader(found);
  Header header = read_header(reader, found, dimension_count);
  const index_t bytes = byte_count(header, found);
  const index_t unit = detail::bytes_of(header.type);

  detail::NumberSpool spool(spool_folder, bytes);
  Vector<std::uint8_t> piece(
      std::min<index_t>(bytes, index_t{1} << 20));  // of whole numbers, until the last one
  while (spool.size_bytes() < bytes) {
    const auto wanted = Span(piece).first(std::min(std::ssize(piece), bytes - spool.size_bytes()));
    const std::size_t got = reader.read(wanted);
    if (got < wanted.size())
      throw DataError(fmt::format(
          "{} holds {} of the {} bytes of data that its header announces ({}); it is truncated, "
          "install or download it again",
          found.string(), as_size(spool.size_bytes()) + got, bytes, fmt::join(header.shape, " x ")));
    swap_bytes(wanted, unit);
    spool.append(wanted);
  }
  std::array<std::uint8_t, 1> beyond{};
  if (reader.read(beyond) != 0)
    throw DataError(
        fmt::format("{} goes on after the {} bytes of data that its header announces ({}); "
                    "install or download it again",
                    found.string(), bytes, fmt::join(header.shape, " x ")));
  return spool.array(found.string(), header.type, std::move(header.shape));
}

detail::LabelArray read_idx_labels(const fs::path& file) {
  const detail::NumberArray numbers = read_idx(file, 1);
  const auto values = [&]() -> std::vector<std::int64_t> {
    switch (numbers.type()) {
      case NumberType::uint8:
        return widened<std::uint8_t>(numbers);
      case NumberType::int8:
        return widened<std::int8_t>(numbers);
      case NumberType::int16:
        return widened<std::int16_t>(numbers);
      case NumberType::int32:
        return widened<std::int32_t>(numbers);
      case NumberType::float32:
      case NumberType::float64:
        break;
    }
    throw DataError(fmt::format("{} holds numbers of type {} (labels are whole numbers); write them as int32",
                                numbers.name(), name(numbers.type())));
  };
  return {numbers.name(), values()};
}

}  // namespace switchyard::data
