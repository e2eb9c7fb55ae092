#include "data/detail/byte_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/error.hpp"
#include "files/regular_file.hpp"

namespace switchyard::data::detail {

namespace fs = std::filesystem;

std::optional<fs::path> plain_or_compressed(const fs::path& file) {
  // What is there and cannot be read is found: whoever reads it says why.
  if (files::is_there(file)) return file;
  fs::path compressed = file;
  compressed += ".gz";
  if (files::is_there(compressed)) return compressed;
  return std::nullopt;
}

ByteReader::ByteReader(const fs::path& file) : file_(file) {
  // Before opening: a pipe would wait for its writer.
  if (const std::string reason = files::why_unreadable(file); !reason.empty())
    throw DataError(
        fmt::format("{} cannot be opened ({}); check its path and permissions", file.string(), reason));
  handle_ = decltype(handle_)(gzopen(file.c_str(), "rb"));
  if (!handle_)
    throw DataError(fmt::format("{} cannot be opened ({}); check its path and permissions", file.string(),
                                std::generic_category().message(errno)));
  gzbuffer(handle_.get(), 1u << 17);
}

std::size_t ByteReader::read(Span<std::uint8_t> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto wanted = static_cast<unsigned>(std::min<std::size_t>(bytes.size() - done, 1u << 30));
    const int got = gzread(handle_.get(), bytes.data() + done, wanted);
    check_stream(got);
    if (got == 0) break;
    done += as_size(got);
  }
  return done;
}

void ByteReader::append_to(std::vector<std::uint8_t>& bytes, std::size_t limit) {
  // Space doubles as bytes arrive.
  constexpr std::size_t first_bytes = std::size_t{1} << 20;
  bool ended = false;
  while (!ended && bytes.size() < limit) {
    const std::size_t before = bytes.size();
    bytes.resize(std::min(limit, std::max(first_bytes, 2 * before)));
    const std::size_t space = bytes.size() - before;
    const std::size_t got = read(Span(bytes).subspan(before));
    bytes.resize(before + got);
    ended = got < space;
  }
}

// A stream that ends early is reported by zlib as Z_BUF_ERROR beside a short count.
void ByteReader::check_stream(int got) {
  int code = Z_OK;
  const char* reason = gzerror(handle_.get(), &code);
  if (got >= 0 && (code == Z_OK || code == Z_STREAM_END)) return;
  throw DataError(
      fmt::format("{} cannot be read to its end ({}); it is truncated or damaged, install or download it again",
                  file_.string(), code == Z_ERRNO ? std::generic_category().message(errno) : reason));
}

}  // namespace switchyard::data::detail
