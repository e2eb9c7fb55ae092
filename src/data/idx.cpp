#include "data/idx.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <span>
#include <string>
#include <system_error>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "base/unique_handle.hpp"

namespace switchyard::data {
namespace {

namespace fs = std::filesystem;

struct GzTraits {
  using Handle = gzFile;
  static Handle none() noexcept { return nullptr; }
  static void close(Handle handle) noexcept { gzclose_r(handle); }
};

// A file, decompressed on the way if its content is gzip. zlib verifies the checksum when the end is reached.
class ByteReader {
 public:
  explicit ByteReader(const fs::path& file) : file_(file), handle_(gzopen(file.c_str(), "rb")) {
    if (!handle_)
      throw DataError(fmt::format("{} cannot be opened ({}); check its permissions", file.string(),
                                  std::generic_category().message(errno)));
    gzbuffer(handle_.get(), 1u << 17);
  }

  // Fills `bytes` as far as the file goes and returns how many were read.
  std::size_t read(std::span<std::uint8_t> bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const auto wanted = static_cast<unsigned>(std::min<std::size_t>(bytes.size() - done, 1u << 30));
      const int got = gzread(handle_.get(), bytes.data() + done, wanted);
      check_stream(got);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

 private:
  // A stream that ends early is reported by zlib as Z_BUF_ERROR beside a short count.
  void check_stream(int got) {
    int code = Z_OK;
    const char* reason = gzerror(handle_.get(), &code);
    if (got >= 0 && (code == Z_OK || code == Z_STREAM_END)) return;
    throw DataError(fmt::format(
        "{} cannot be read to its end ({}); it is truncated or damaged, install or download it again",
        file_.string(), code == Z_ERRNO ? std::generic_category().message(errno) : reason));
  }

  fs::path file_;
  UniqueHandle<GzTraits> handle_;
};

fs::path existing_file(const fs::path& file) {
  std::error_code ignored;
  if (fs::exists(file, ignored)) return file;
  fs::path compressed = file;
  compressed += ".gz";
  if (fs::exists(compressed, ignored)) return compressed;
  throw DataError(fmt::format(
      "neither {} nor {} exists; install the Debian package dataset-fashion-mnist "
      "(data.dir = /usr/share/datasets/fashion-mnist) or set data.dir to the folder of the four IDX files",
      file.string(), compressed.filename().string()));
}

std::uint32_t big_endian(std::span<const std::uint8_t> bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 |
         std::uint32_t{bytes[at + 2]} << 8 | bytes[at + 3];
}

std::vector<index_t> read_header(ByteReader& reader, const fs::path& file, int dimension_count) {
  std::array<std::uint8_t, 4 * 4> buffer{};
  const auto header = std::span(buffer).first(4 + 4 * static_cast<std::size_t>(dimension_count));
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
  for (int d = 0; d < dimension_count; ++d)
    dimensions.push_back(big_endian(header, 4 + 4 * static_cast<std::size_t>(d)));
  return dimensions;
}

std::size_t element_count(const std::vector<index_t>& dimensions, const fs::path& file) {
  std::size_t count = 1;
  for (const index_t size : dimensions) {
    const auto factor = static_cast<std::size_t>(size);
    if (factor == 0 || count > static_cast<std::size_t>(std::numeric_limits<index_t>::max()) / factor)
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
  ByteReader reader(array.file);
  array.dimensions = read_header(reader, array.file, dimension_count);
  const std::size_t count = element_count(array.dimensions, array.file);

  // Space doubles as bytes arrive, so that a header that lies costs no memory.
  constexpr std::size_t first_bytes = std::size_t{1} << 20;
  std::size_t got = 0;
  while (got < count) {
    array.values.resize(std::min(count, std::max(first_bytes, 2 * got)));
    const std::size_t space = array.values.size() - got;
    const std::size_t read = reader.read(std::span(array.values).subspan(got));
    got += read;
    if (read < space)
      throw DataError(
          fmt::format("{} holds {} of the {} bytes of data that its header announces ({}); it is truncated, "
                      "install or download it again",
                      array.file.string(), got, count, fmt::join(array.dimensions, " x ")));
  }
  std::array<std::uint8_t, 1> beyond{};
  if (reader.read(beyond) != 0)
    throw DataError(
        fmt::format("{} goes on after the {} bytes of data that its header announces ({}); "
                    "install or download it again",
                    array.file.string(), count, fmt::join(array.dimensions, " x ")));
  return array;
}

}  // namespace switchyard::data
