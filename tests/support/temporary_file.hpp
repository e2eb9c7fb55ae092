// A file with the given bytes, removed with the object.
#pragma once

#include <fstream>
#include <string>
#include <string_view>

#include "support/temporary_directory.hpp"

namespace switchyard::test {

class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view bytes) { std::ofstream(path(), std::ios::binary) << bytes; }

  std::string path() const { return (directory_.path() / "file").string(); }

 private:
  TemporaryDirectory directory_;
};

}  // namespace switchyard::test
