// Small CIFAR-100 files for tests.
#pragma once

#include <filesystem>
#include <string>

#include "base/philox.hpp"
#include "support/idx_files.hpp"

namespace switchyard::test {

// train.bin and test.bin of that many records: random pixels, labels in range.
inline void write_cifar100(const std::filesystem::path& dir, std::uint32_t train_samples,
                           std::uint32_t test_samples) {
  const auto write = [&](const std::string& name, std::uint32_t count, std::uint64_t seed) {
    Bytes bytes;
    for (std::uint32_t i = 0; i < count; ++i) {
      bytes.push_back(static_cast<std::uint8_t>(i % 20));
      bytes.push_back(static_cast<std::uint8_t>(i % 100));
      for (std::uint32_t block = 0; block < 3072 / 4; ++block) {
        for (const std::uint32_t word : Philox::at(seed, RandomUse::test, i, block).word)
          bytes.push_back(static_cast<std::uint8_t>(word));
      }
    }
    write_file(dir / name, bytes);
  };
  write("train.bin", train_samples, 1);
  write("test.bin", test_samples, 2);
}

}  // namespace switchyard::test
