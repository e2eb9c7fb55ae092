#include "files/png.hpp"

#include <zlib.h>

#include <new>

#include "base/contract.hpp"
#include "base/hash.hpp"
#include "base/span.hpp"

namespace switchyard::files {
namespace {

void put_big_endian(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((value >> shift) & 0xffU);
}

// Length, kind, content, and the checksum of kind and content.
void put_chunk(std::string& out, std::string_view kind, std::string_view content) {
  put_big_endian(out, static_cast<std::uint32_t>(content.size()));
  const std::size_t begin = out.size();
  out.append(kind).append(content);
  put_big_endian(out, crc32(std::as_bytes(std::span<const char>(out).subspan(begin))));
}

// Each line of pixels behind a zero: no filter.
std::string lines_of(const PngImage& image) {
  const auto line = as_size(image.width * (image.colour == PngColour::red_green_blue ? 3 : 1));
  std::string lines;
  lines.reserve(as_size(image.height) * (line + 1));
  for (std::size_t y = 0; y < as_size(image.height); ++y) {
    lines += '\0';
    lines.append(image.values.substr(y * line, line));
  }
  return lines;
}

std::string deflated(std::string_view bytes) {
  uLongf size = ::compressBound(bytes.size());
  std::string out(size, '\0');
  if (::compress2(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(bytes.data()),
                  bytes.size(), Z_DEFAULT_COMPRESSION) != Z_OK)
    throw std::bad_alloc();  // the only failure with room for all
  out.resize(size);
  return out;
}

}  // namespace

std::string png_of(const PngImage& image) {
  const index_t values = image.width * image.height * (image.colour == PngColour::red_green_blue ? 3 : 1);
  SY_EXPECTS(image.width > 0 && image.height > 0 && std::ssize(image.values) == values,
             "a picture of {} x {} pixels and {} values", image.height, image.width, image.values.size());
  std::string header;
  put_big_endian(header, static_cast<std::uint32_t>(image.width));
  put_big_endian(header, static_cast<std::uint32_t>(image.height));
  header += '\x08';  // bits
  header += static_cast<char>(image.colour);
  header.append(3, '\0');  // deflate, filters by line, not interlaced
  std::string out("\x89PNG\r\n\x1a\n");
  put_chunk(out, "IHDR", header);
  if (image.colour == PngColour::indexed) put_chunk(out, "PLTE", image.palette);
  put_chunk(out, "IDAT", deflated(lines_of(image)));
  put_chunk(out, "IEND", "");
  return out;
}

}  // namespace switchyard::files
