// The binary version of CIFAR-10 and CIFAR-100 (Krizhevsky 2009): records of labels and pixels, no header.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::data {

enum class CifarKind { cifar10, cifar100 };

constexpr tensor::SampleShape cifar_shape{3, 32, 32};
constexpr index_t cifar10_classes = 10;
constexpr index_t cifar100_fine_classes = 100;
constexpr index_t cifar100_coarse_classes = 20;

// The records of the training files or of the test file, in the files' order. One record: the label (CIFAR-10),
// or the coarse and the fine label (CIFAR-100), a byte each; then the pixels: channel (red, green, blue),
// height, width.
struct CifarRecords {
  CifarKind kind = CifarKind::cifar10;
  std::vector<std::uint8_t> bytes;

  index_t label_bytes() const { return kind == CifarKind::cifar10 ? 1 : 2; }
  index_t record_bytes() const { return label_bytes() + cifar_shape.features(); }
  index_t count() const { return std::ssize(bytes) / record_bytes(); }
  const std::uint8_t* record(index_t row) const { return bytes.data() + row * record_bytes(); }
  const std::uint8_t* pixels(index_t row) const { return record(row) + label_bytes(); }
  // CIFAR-10: the only one.
  std::int32_t fine_label(index_t row) const { return record(row)[label_bytes() - 1]; }
  // CIFAR-100 only.
  std::int32_t coarse_label(index_t row) const { return record(row)[0]; }
};

struct Cifar {
  CifarKind kind = CifarKind::cifar10;
  CifarRecords train;
  CifarRecords test;
  // By label, if the folder holds the lists of names that belong to the files.
  std::vector<std::string> fine_names, coarse_names;
  std::vector<std::string> remarks;  // as Dataset::remarks()
};

// Reads data_batch_1.bin to data_batch_5.bin and test_batch.bin (CIFAR-10), or train.bin and test.bin
// (CIFAR-100), each plain or .gz; the names in `dir` say which. Any number of records, at least one in each
// file. Beside them batches.meta.txt (CIFAR-10), or fine_label_names.txt and coarse_label_names.txt
// (CIFAR-100), if they are there and name every label; a remark says if they are and do not.
//
// Blocking and local. Throws DataError: files of both kinds or of none, one that is missing or unreadable, an
// empty one, one that ends within a record, a label out of range (with file, offset and value; offsets are
// those of the unpacked file).
Cifar read_cifar(const std::filesystem::path& dir);

}  // namespace switchyard::data
