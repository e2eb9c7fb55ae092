#include "data/idx.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <limits>
#include <string>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "base/span.hpp"
#include "data/detail/byte_reader.hpp"

namespace switchyard::data {
namespace {

namespace fs = std::filesystem;

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

std::vector<index_t> read_header(detail::ByteReader& reader, const fs::path& file, int dimension_count) {
  std::array<std::uint8_t, 4 * 4> buffer{};
  const auto header = Span(buffer).first(4 + 4 * dimension_count);
  const std::size_t got = reader.read(header);
  const std::uint32_t expected_magic = 0x0800u | static_cast<std::uint32_t>(dimension_count);
  // Only a complete magic can be wrong; a shorter file is too short.
  if (got >= 4 && big_endian(header, 0) != expected_magic)
    throw DataError(
        fmt::format("{} starts with {:#010x} instead of {:#010x} (an IDX file of unsigned bytes with {} {}); "
                    "check that data.dir holds the four files of MNIST or Fashion-MNIST under their own names",
                    file.string(), big_endian(header, 0), expected_magic, dimension_count,
                    dimension_count == 1 ? "dimension" : "dimensions"));
  if (got < header.size())
    throw DataError(
        fmt::format("{} ends after {} bytes (its header alone has {}); install or download it again",
                    file.string(), got, header.size()));
  std::vector<index_t> dimensions;
  for (int d = 0; d < dimension_count; ++d) dimensions.push_back(big_endian(header, 4 + 4 * d));
  return dimensions;
}

std::size_t element_count(const std::vector<index_t>& dimensions, const fs::path& file) {
  std::size_t count = 1;
  for (const index_t size : dimensions) {
    const auto factor = as_size(size);
    if (factor == 0 || count > as_size(std::numeric_limits<index_t>::max()) / factor)
      throw DataError(
          fmt::format("{} has dimensions {} (each must be at least 1, and their product below 2^63); "
                      "install or download it again",
                      file.string(), fmt::join(dimensions, " x ")));
    count *= factor;
  }
  return count;
}

}  // namespace

IdxArray read_idx(const fs::path& file, int dimension_count) {
  SY_EXPECTS(dimension_count >= 1 && dimension_count <= 3, "{} dimensions", dimension_count);
  IdxArray array;
  array.file = existing_file(file);
  detail::ByteReader reader(array.file);
  array.dimensions = read_header(reader, array.file, dimension_count);
  const std::size_t count = element_count(array.dimensions, array.file);

  reader.append_to(array.values, count);
  if (array.values.size() < count)
    throw DataError(
        fmt::format("{} holds {} of the {} bytes of data that its header announces ({}); it is truncated, "
                    "install or download it again",
                    array.file.string(), array.values.size(), count, fmt::join(array.dimensions, " x ")));
  std::array<std::uint8_t, 1> beyond{};
  if (reader.read(beyond) != 0)
    throw DataError(
        fmt::format("{} goes on after the {} bytes of data that its header announces ({}); "
                    "install or download it again",
                    array.file.string(), count, fmt::join(array.dimensions, " x ")));
  return array;
}

}  // namespace switchyard::data
