// A file with the given bytes, removed with the object.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace switchyard::test {

class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view bytes) {
    static std::atomic<int> count{0};  // several files of one test
    path_ = std::filesystem::path(testing::TempDir()) /
            ("switchyard_test_" + std::to_string(::getpid()) + "_" + std::to_string(count++));
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace switchyard::test
