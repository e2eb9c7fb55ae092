#include "data/idx.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "support/idx_files.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::data {
namespace {

using test::Bytes;
using test::Encoding;
using testing::HasSubstr;

class Idx : public testing::TestWithParam<Encoding> {
 protected:
  // A file of 2 x 3 x 4 bytes 0, 1, 2, ...
  static Bytes good_content() {
    Bytes values(24);
    std::iota(values.begin(), values.end(), std::uint8_t{0});
    return test::idx_bytes({2, 3, 4}, values);
  }
  void write(const Bytes& content) { written_ = test::write_file(file(), content, GetParam()); }
  std::filesystem::path file() const { return dir_.path() / "train-images-idx3-ubyte"; }

  // The message of the DataError that reading must end in; it names the file.
  std::string failure(int dimension_count = 3) {
    try {
      read_idx(file(), dimension_count);
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr(written_.string()));
      EXPECT_THAT(error.what(), HasSubstr("; "));  // what to try
      return error.what();
    }
    ADD_FAILURE() << "read without an error";
    return "";
  }

  test::TemporaryDirectory dir_;
  std::filesystem::path written_;
};

INSTANTIATE_TEST_SUITE_P(Encodings, Idx, testing::Values(Encoding::plain, Encoding::gzip),
                         [](const auto& encoding) {
                           return encoding.param == Encoding::plain ? "plain" : "gzip";
                         });

TEST_P(Idx, gives_dimensions_and_values) {
  write(good_content());
  const IdxArray array = read_idx(file(), 3);
  EXPECT_EQ(array.file, written_);
  EXPECT_EQ(array.dimensions, (std::vector<index_t>{2, 3, 4}));
  Bytes expected(24);
  std::iota(expected.begin(), expected.end(), std::uint8_t{0});
  EXPECT_EQ(array.values, expected);
}

// More than the reader's first piece, so that growing is exercised.
TEST_P(Idx, gives_a_large_array_whole) {
  Bytes values(3'500'001);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(i * i >> 7);
  write(test::idx_bytes({3'500'001}, values));
  EXPECT_EQ(read_idx(file(), 1).values, values);
}

TEST_P(Idx, a_wrong_magic_is_shown_beside_the_right_one) {
  write(good_content());
  EXPECT_THAT(failure(1), AllOf(HasSubstr("0x00000803"), HasSubstr("0x00000801"), HasSubstr("1 dimension)")));
  Bytes ints = good_content();
  ints[2] = 0x0C;  // 32-bit integers
  write(ints);
  EXPECT_THAT(failure(), HasSubstr("0x00000c03"));
}

TEST_P(Idx, a_file_that_ends_early_says_where) {
  Bytes content = good_content();
  content.pop_back();
  write(content);
  EXPECT_THAT(failure(), HasSubstr("holds 23 of the 24 bytes"));
  content.resize(10);
  write(content);
  EXPECT_THAT(failure(), HasSubstr("ends after 10 bytes"));
  content.clear();
  write(content);
  EXPECT_THAT(failure(), HasSubstr("ends after 0 bytes"));
}

TEST_P(Idx, trailing_bytes_are_refused) {
  Bytes content = good_content();
  content.push_back(0);
  write(content);
  EXPECT_THAT(failure(), HasSubstr("goes on after the 24 bytes"));
}

TEST_P(Idx, a_dimension_of_zero_is_refused) {
  write(test::idx_bytes({2, 0, 4}, {}));
  EXPECT_THAT(failure(), HasSubstr("2 x 0 x 4"));
}

// 2^32 - 1 cubed overflows 64 bits; the other would ask for 2^62 bytes, which no machine has.
TEST_P(Idx, a_header_that_lies_costs_no_memory) {
  const std::uint32_t huge = 0xffffffffu;
  write(test::idx_bytes({huge, huge, huge}, Bytes(100)));
  EXPECT_THAT(failure(), HasSubstr("product below 2^63"));
  write(test::idx_bytes({1u << 31, 1u << 30, 2}, Bytes(100)));
  EXPECT_THAT(failure(), HasSubstr("holds 100 of the 4611686018427387904 bytes"));
}

TEST(IdxFile, a_truncated_or_damaged_gzip_stream_is_refused) {
  test::TemporaryDirectory dir;
  Bytes values(100'000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(i * 2654435761u >> 13);
  const auto path = test::write_file(dir.path() / "labels", test::idx_bytes({100'000}, values), Encoding::gzip);
  const Bytes whole = test::read_file(path);
  const auto message = [&](const Bytes& content) -> std::string {
    test::write_file(path, content);
    try {
      read_idx(dir.path() / "labels", 1);
    } catch (const DataError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(message(whole), "no error");
  // The last eight bytes are the checksum and the length: losing only them must be noticed too.
  for (const std::size_t kept : {whole.size() - 1, whole.size() - 8, whole.size() / 2, std::size_t{20}})
    EXPECT_THAT(message(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(kept))),
                HasSubstr("truncated or damaged"))
        << kept << " bytes kept";
  Bytes flipped = whole;
  flipped[whole.size() / 2] ^= 0x10;
  EXPECT_THAT(message(flipped), HasSubstr(path.string()));
  Bytes wrong_checksum = whole;
  wrong_checksum[whole.size() - 6] ^= 1;
  EXPECT_THAT(message(wrong_checksum), HasSubstr("truncated or damaged"));
}

TEST(IdxFile, a_plain_file_is_preferred_and_either_name_may_hold_either_content) {
  test::TemporaryDirectory dir;
  const auto file = dir.path() / "labels";
  const Bytes one{1}, two{2};
  test::write_file(file, test::idx_bytes({1}, two), Encoding::gzip);
  EXPECT_EQ(read_idx(file, 1).values, two);
  test::write_file(file, test::idx_bytes({1}, one));
  EXPECT_EQ(read_idx(file, 1).values, one);
  // What a browser leaves: unpacked, but still called .gz; or packed, without the ending.
  const auto packed = test::write_file(dir.path() / "packed", test::idx_bytes({1}, two), Encoding::gzip);
  std::filesystem::rename(packed, dir.path() / "packed");
  EXPECT_EQ(read_idx(dir.path() / "packed", 1).values, two);
  test::write_file(dir.path() / "unpacked.gz", test::idx_bytes({1}, one));
  EXPECT_EQ(read_idx(dir.path() / "unpacked", 1).values, one);
}

TEST(IdxFile, a_missing_file_says_what_to_install) {
  test::TemporaryDirectory dir;
  try {
    read_idx(dir.path() / "train-images-idx3-ubyte", 3);
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr(dir.path().string()), HasSubstr("train-images-idx3-ubyte.gz"),
                                    HasSubstr("dataset-fashion-mnist"), HasSubstr("data.dir")));
  }
}

TEST(IdxFile, a_directory_is_not_a_file) {
  test::TemporaryDirectory dir;
  std::filesystem::create_directory(dir.path() / "labels");
  EXPECT_THROW(read_idx(dir.path() / "labels", 1), DataError);
}

}  // namespace
}  // namespace switchyard::data
