#include "support/idx_files.hpp"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <numbers>
#include <stdexcept>

#include "base/philox.hpp"

namespace switchyard::test {
namespace {

constexpr std::uint32_t side = 28;

void append_big_endian(Bytes& bytes, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(value >> shift));
}

}  // namespace

Bytes idx_bytes(std::initializer_list<std::uint32_t> dimensions, std::span<const std::uint8_t> values) {
  Bytes bytes;
  append_big_endian(bytes, 0x0800u + static_cast<std::uint32_t>(dimensions.size()));
  for (const std::uint32_t size : dimensions) append_big_endian(bytes, size);
  bytes.insert(bytes.end(), values.begin(), values.end());
  return bytes;
}

std::filesystem::path write_file(const std::filesystem::path& file, const Bytes& content, Encoding encoding) {
  std::filesystem::path path = file;
  bool written = false;
  if (encoding == Encoding::gzip) {
    path += ".gz";
    const gzFile out = gzopen(path.c_str(), "wb");
    written = out != nullptr && gzwrite(out, content.data(), static_cast<unsigned>(content.size())) ==
                                    static_cast<int>(content.size());
    written = gzclose(out) == Z_OK && written;
  } else {
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
    written = out.flush().good();
  }
  if (!written) throw std::runtime_error("cannot write " + path.string());
  return path;
}

Bytes read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

LabelledImages class_structured_images(std::uint32_t count, std::uint32_t classes, std::uint64_t seed) {
  LabelledImages images{count, side, side, Bytes(std::size_t{count} * side * side), Bytes(count)};
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t label = i % classes;
    images.labels[i] = static_cast<std::uint8_t>(label);
    const double angle = 2 * std::numbers::pi * label / classes;
    const double centre_row = 13.5 + 8 * std::sin(angle);
    const double centre_col = 13.5 + 8 * std::cos(angle);
    for (std::uint32_t row = 0; row < side; ++row) {
      for (std::uint32_t col = 0; col < side; ++col) {
        const std::size_t pixel = (std::size_t{i} * side + row) * side + col;
        const bool bright = std::hypot(row - centre_row, col - centre_col) < 4;
        const std::uint32_t noise = Philox::at(seed, RandomUse::test, pixel).word[0] >> 26;
        images.pixels[pixel] = static_cast<std::uint8_t>((bright ? 160 : 0) + noise);
      }
    }
  }
  return images;
}

void write_idx_pair(const std::filesystem::path& dir, const std::string& prefix, const LabelledImages& images,
                    Encoding encoding) {
  write_file(dir / (prefix + "-images-idx3-ubyte"),
             idx_bytes({images.count, images.height, images.width}, images.pixels), encoding);
  write_file(dir / (prefix + "-labels-idx1-ubyte"), idx_bytes({images.count}, images.labels), encoding);
}

void write_idx_dataset(const std::filesystem::path& dir, IdxDatasetSize size, Encoding encoding) {
  write_idx_pair(dir, "train", class_structured_images(size.train_samples, size.classes, 1), encoding);
  write_idx_pair(dir, "t10k", class_structured_images(size.test_samples, size.classes, 2), encoding);
}

}  // namespace switchyard::test
