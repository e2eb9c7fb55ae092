#include "data/idx.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "support/config_error.hpp"
#include "support/idx_files.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::data {
namespace {

using detail::NumberArray;
using detail::NumberType;
using test::Bytes;
using test::Encoding;
using testing::AllOf;
using testing::HasSubstr;

Bytes bytes_of(const NumberArray& array) {
  Bytes bytes(static_cast<std::size_t>(array.rows() * array.row_size() * detail::bytes_of(array.type())));
  array.read_bytes({0, array.rows() * array.row_size()}, std::as_writable_bytes(Span(bytes)));
  return bytes;
}

std::vector<float> floats_of(const NumberArray& array) {
  std::vector<float> values(static_cast<std::size_t>(array.rows() * array.row_size()));
  array.read({0, array.rows() * array.row_size()}, values.data());
  return values;
}

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
    std::string message = test::data_error_of([&] { read_idx(file(), dimension_count); });
    EXPECT_THAT(message, HasSubstr(written_.string()));
    return message;
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
  const NumberArray array = read_idx(file(), 3);
  EXPECT_EQ(array.name(), written_.string());
  EXPECT_EQ(array.type(), NumberType::uint8);
  EXPECT_EQ(array.shape(), (tensor::Shape{2, 3, 4}));
  Bytes expected(24);
  std::iota(expected.begin(), expected.end(), std::uint8_t{0});
  EXPECT_EQ(bytes_of(array), expected);
}

// More than the reader's first piece, so that growing is exercised.
TEST_P(Idx, gives_a_large_array_whole) {
  Bytes values(3'500'001);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(i * i >> 7);
  write(test::idx_bytes({3'500'001}, values));
  EXPECT_EQ(bytes_of(read_idx(file(), 1)), values);
}

TEST_P(Idx, a_wrong_magic_is_shown_beside_the_right_one) {
  write(good_content());
  EXPECT_THAT(failure(1),
              AllOf(HasSubstr("starts with 0x00000803"), HasSubstr("of 1 dimension"), HasSubstr("01)")));
  for (const auto& [place, value, magic] : {std::tuple{2, 0x0a, "0x00000a03"},
                                            {2, 0x0f, "0x00000f03"},
                                            {0, 1, "0x01000803"},
                                            {1, 1, "0x00010803"},
                                            {3, 0, "0x00000800"},
                                            {3, 5, "0x00000805"}}) {
    Bytes content = good_content();
    content[static_cast<std::size_t>(place)] = static_cast<std::uint8_t>(value);
    write(content);
    EXPECT_THAT(failure(0), AllOf(HasSubstr(magic), HasSubstr("01 to 04"))) << magic;
  }
}

// 1, -2 (or 254) and a third number, as the format has them: written out by hand.
TEST_P(Idx, gives_numbers_of_every_type) {
  struct Case {
    std::uint8_t code;
    NumberType type;
    Bytes values;
    std::vector<float> expected;
  };
  const std::vector<Case> cases = {
      {0x08, NumberType::uint8, {1, 254, 7}, {1, 254, 7}},
      {0x09, NumberType::int8, {1, 0xfe, 0x80}, {1, -2, -128}},
      {0x0b, NumberType::int16, {0, 1, 0xff, 0xfe, 0x12, 0x34}, {1, -2, 0x1234}},
      {0x0c, NumberType::int32, {0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe, 0, 0x12, 0x34, 0x56}, {1, -2, 0x123456}},
      {0x0d, NumberType::float32, {0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0, 0x3e, 0x20, 0, 0}, {1, -2, 0.15625f}},
      {0x0e,
       NumberType::float64,
       {0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0x3f, 0xc4, 0, 0, 0, 0, 0, 0},
       {1, -2, 0.15625f}}};
  for (const Case& of : cases) {
    for (const Bytes& shape : {Bytes{1, 0, 0, 0, 3}, Bytes{2, 0, 0, 0, 3, 0, 0, 0, 1},
                               Bytes{4, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 1}}) {
      Bytes content = {0, 0, of.code};
      content.insert(content.end(), shape.begin(), shape.end());
      content.insert(content.end(), of.values.begin(), of.values.end());
      write(content);
      const NumberArray array = read_idx(file());
      EXPECT_EQ(array.type(), of.type);
      EXPECT_EQ(array.shape().size(), shape[0]);
      EXPECT_EQ(floats_of(array), of.expected) << static_cast<int>(of.code);
    }
  }
}

// Two files of 100 MiB would not fit into the 64 MiB that stay in memory.
TEST_P(Idx, waits_in_a_folder_where_it_is_large) {
  constexpr std::uint32_t count = 100u << 20;
  Bytes values(count);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(i * i >> 9);
  Bytes content = test::idx_bytes({count / 2}, values);
  content[2] = 0x0b;  // of two bytes
  write(content);
  const NumberArray array = read_idx(file(), 1, dir_.path().string());
  EXPECT_EQ(array.in_memory(0), nullptr);
  const Bytes found = bytes_of(array);
  for (std::size_t i = 0; i < found.size(); ++i) ASSERT_EQ(found[i], values[i ^ 1]) << i;
  std::filesystem::remove(written_);
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path())) << "a file without a name";
}

TEST_P(Idx, labels_are_whole_numbers_of_any_type) {
  for (const auto& [code, values] : {std::pair{0x08, Bytes{1, 255}},
                                     {0x09, Bytes{1, 127}},
                                     {0x0b, Bytes{0, 1, 1, 0}},
                                     {0x0c, Bytes{0, 0, 0, 1, 0, 1, 0, 0}}}) {
    Bytes content = test::idx_bytes({2}, values);
    content[2] = static_cast<std::uint8_t>(code);
    write(content);
    const std::int64_t largest = code == 0x08 ? 255 : code == 0x09 ? 127 : code == 0x0b ? 256 : 65536;
    EXPECT_EQ(read_idx_labels(file()).values, (std::vector<std::int64_t>{1, largest}));
  }
  Bytes floats = test::idx_bytes({1}, Bytes{0x3f, 0x80, 0, 0});
  floats[2] = 0x0d;
  write(floats);
  try {
    read_idx_labels(file());
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr(written_.string()), HasSubstr("float32"), HasSubstr("; ")));
  }
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
  EXPECT_EQ(bytes_of(read_idx(file, 1)), two);
  test::write_file(file, test::idx_bytes({1}, one));
  EXPECT_EQ(bytes_of(read_idx(file, 1)), one);
  // What a browser leaves: unpacked, but still called .gz; or packed, without the ending.
  const auto packed = test::write_file(dir.path() / "packed", test::idx_bytes({1}, two), Encoding::gzip);
  std::filesystem::rename(packed, dir.path() / "packed");
  EXPECT_EQ(bytes_of(read_idx(dir.path() / "packed", 1)), two);
  test::write_file(dir.path() / "unpacked.gz", test::idx_bytes({1}, one));
  EXPECT_EQ(bytes_of(read_idx(dir.path() / "unpacked", 1)), one);
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
