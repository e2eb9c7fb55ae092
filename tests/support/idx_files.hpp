// Writes IDX data sets for tests, whole or broken on purpose, and makes small images that a network can learn.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace switchyard::test {

enum class Encoding { plain, gzip };

using Bytes = std::vector<std::uint8_t>;

// An IDX file's content: big-endian magic for unsigned bytes, the dimensions, the values.
Bytes idx_bytes(std::initializer_list<std::uint32_t> dimensions, std::span<const std::uint8_t> values);

// Writes `content` to `file`; with gzip, compressed and to `file`.gz. Returns the path written.
std::filesystem::path write_file(const std::filesystem::path& file, const Bytes& content,
                                 Encoding encoding = Encoding::plain);
Bytes read_file(const std::filesystem::path& file);

struct LabelledImages {
  std::uint32_t count = 0;
  std::uint32_t height = 0;
  std::uint32_t width = 0;
  Bytes pixels;  // count x height x width
  Bytes labels;  // count
};

// `count` images of 28 x 28 pixels: a bright disc on faint noise; its place, on a ring, tells the class. Labels
// are i mod classes. A linear model can learn them; another seed gives other noise, as a test set needs.
LabelledImages class_structured_images(std::uint32_t count, std::uint32_t classes, std::uint64_t seed);

// Writes PREFIX-images-idx3-ubyte and PREFIX-labels-idx1-ubyte; prefix is "train" or "t10k".
void write_idx_pair(const std::filesystem::path& dir, const std::string& prefix, const LabelledImages& images,
                    Encoding encoding = Encoding::plain);

// Writes all four files of a data set of class_structured_images; `dir` is what data.dir takes.
struct IdxDatasetSize {
  std::uint32_t train_samples = 512;
  std::uint32_t test_samples = 128;
  std::uint32_t classes = 10;
};
void write_idx_dataset(const std::filesystem::path& dir, IdxDatasetSize size,
                       Encoding encoding = Encoding::plain);

}  // namespace switchyard::test
