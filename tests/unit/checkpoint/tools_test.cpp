// Other people's tools see what we wrote.
#include <array>
#include <cstdio>
#include <cstdlib>

#include "fixture.hpp"

namespace switchyard::checkpoint {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Standard output of a command that must succeed.
std::string output_of(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return "popen failed";
  std::string output;
  std::array<char, 4096> buffer;
  while (const std::size_t bytes = std::fread(buffer.data(), 1, buffer.size(), pipe))
    output.append(buffer.data(), bytes);
  EXPECT_EQ(::pclose(pipe), 0) << command;
  return output;
}

class Tools : public testing::Test {
 protected:
  Tools() : content_(small_content()), file_(save_from(2, folder_.path(), 200, content_)) {}
  TemporaryDirectory folder_;
  Content content_;
  fs::path file_;
};

TEST_F(Tools, h5ls_lists_paths_and_shapes) {
  EXPECT_THAT(output_of("h5ls -r " + file_.string()),
              AllOf(HasSubstr("/state/step"), HasSubstr("/config"),
                    HasSubstr("/parameters/gate/dense_1/weight Dataset {7, 5}"),
                    HasSubstr("/parameters/scale        Dataset {SCALAR}")));
}

TEST_F(Tools, h5dump_prints_state_and_configuration) {
  EXPECT_THAT(output_of("h5dump -d /state/step " + file_.string()),
              AllOf(HasSubstr("H5T_STD_I64LE"), HasSubstr("(0): 200"), HasSubstr("\"crc32\"")));
  EXPECT_THAT(output_of("h5dump -r -d /config " + file_.string()), HasSubstr("[model]\n"));
  EXPECT_THAT(output_of("h5dump -p -H -d /statistics/load " + file_.string()),
              AllOf(HasSubstr("CONTIGUOUS"), HasSubstr("H5T_STD_I64LE")));
}

// What a test does that edits a checkpoint from outside and wants it to be accepted.
TEST_F(Tools, mend_checkpoint_makes_an_edited_file_whole) {
  std::vector<std::byte> bytes = bytes_of_file(file_);
  const std::span<const std::byte> wanted = content_.arrays.at("parameters/expert_5/weight").bytes;
  const auto at = std::search(bytes.begin(), bytes.end(), wanted.begin(), wanted.end());
  ASSERT_NE(at, bytes.end());
  *at = std::byte{0x11};
  write_file(file_, bytes);
  EXPECT_THROW(verify(file_), Error);
  output_of(std::string(SY_MEND_CHECKPOINT) + " " + file_.string());
  verify(file_);
  std::vector<std::byte> read(wanted.size());
  Reader(file_).read({"parameters/expert_5/weight", DType::float32, {3, 2, 2, 4}, 0, 3, read.data()});
  EXPECT_EQ(read[0], std::byte{0x11});
}

}  // namespace
}  // namespace switchyard::checkpoint
