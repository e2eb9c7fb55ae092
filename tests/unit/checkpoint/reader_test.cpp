#include <fmt/format.h>

#include <cstring>
#include <tuple>
#include <vector>

#include "base/error.hpp"
#include "checkpoint/detail/pieces.hpp"
#include "checkpoint/detail/user_block.hpp"
#include "comm/threads/thread_group.hpp"
#include "fixture.hpp"

namespace switchyard::checkpoint {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Reader, reads_any_run_of_elements) {
  TemporaryDirectory folder;
  Content content = small_content();
  const Reader reader(save_from(2, folder.path(), 1, content));
  for (const char* path : {"parameters/gate/dense_1/weight", "parameters/expert_3/weight", "statistics/load"}) {
    const Content::Array& array = content.arrays.at(path);
    const index_t count = tensor::element_count(array.shape);
    const index_t unit = detail::element_bytes(array.dtype);
    for (index_t begin = 0; begin <= count; ++begin)
      for (index_t end = begin; end <= count; ++end) {
        // One byte on each side that must stay as it is.
        std::vector<std::byte> bytes(static_cast<std::size_t>((end - begin) * unit) + 2, std::byte{0xab});
        reader.read({path, array.dtype, array.shape, {begin, end}, bytes.data() + 1});
        EXPECT_EQ(std::memcmp(bytes.data() + 1, array.bytes.data() + begin * unit, bytes.size() - 2), 0);
        EXPECT_EQ(bytes.front(), std::byte{0xab});
        EXPECT_EQ(bytes.back(), std::byte{0xab});
      }
  }
}

// A few members stand in a group's header; more of them in a heap of one block, of a table, of tables in
// tables.
TEST(Reader, finds_every_member_of_groups_of_every_size) {
  TemporaryDirectory folder;
  for (const int count : {1, 8, 9, 16, 60, 1300, 12000}) {
    Header header;
    for (int i = 0; i < count; ++i)
      header.integers[fmt::format("state/a_name_that_takes_its_share_of_the_heap_{:060}", i)] = i;
    const fs::path file = folder.path() / fmt::format("{}.h5", count);
    write_arrays(file, header, std::vector<Slice>{});
    EXPECT_THROW(Reader{file}, DataError) << "it is no checkpoint";
    detail::seal(file);
    const Reader reader(file);
    for (const auto& [path, value] : header.integers) ASSERT_EQ(reader.integer(path), value) << path;
  }
}

TEST(Reader, opens_a_file_of_tokens_as_one) {
  TemporaryDirectory folder;
  const fs::path file = folder.path() / "tokens.h5";
  std::vector<std::uint8_t> bytes{0, 255};
  std::vector<std::uint16_t> words{65535, 1, 0};
  std::vector<std::uint32_t> numbers{0xffffffff};
  const auto slice = [](const char* path, DType type, auto& values) {
    const auto count = static_cast<index_t>(values.size());
    return Slice{path, type, {count}, {0, count}, reinterpret_cast<std::byte*>(values.data())};
  };
  const auto arrays = [&] {
    return std::vector{slice("bytes", DType::uint8, bytes), slice("numbers", DType::uint32, numbers),
                       slice("words", DType::uint16, words)};
  };
  write_arrays(file, {}, arrays(), tokens_mark);
  EXPECT_THAT(message_of(ErrorKind::data, [&] { Reader{file}; }),
              HasSubstr("it holds tokens, and is no checkpoint"));
  const Reader reader(file, tokens_mark);
  const auto [first_bytes, first_numbers, first_words] = std::tuple(bytes, numbers, words);
  bytes = {7, 7}, numbers = {7}, words = {7, 7, 7};
  for (const Slice& array : arrays()) reader.read(array);
  EXPECT_EQ(bytes, first_bytes);
  EXPECT_EQ(numbers, first_numbers);
  EXPECT_EQ(words, first_words);
  EXPECT_EQ(reader.arrays().at(2).dtype, DType::uint16);
  Content content = small_content();
  const fs::path checkpoint = save_from(1, folder.path(), 1, content);
  EXPECT_THAT(message_of(ErrorKind::data, [&] { Reader(checkpoint, tokens_mark); }),
              HasSubstr("it is a checkpoint, and is no file of tokens); make it again"));
}

TEST(Reader, opens_on_every_rank_and_gives_each_its_elements) {
  TemporaryDirectory folder;
  Content content = small_content();
  const fs::path file = save_from(1, folder.path(), 1, content);
  Content loaded = small_content();
  for (auto& [path, array] : loaded.arrays) std::fill(array.bytes.begin(), array.bytes.end(), std::byte{0});
  comm::run_ranks(3, [&](comm::Communicator& communicator) {
    const Reader reader(communicator, file);
    for (const Slice& slice : slices_of(loaded, communicator.rank().value, 3)) reader.read(slice);
  });
  for (const auto& [path, array] : content.arrays) EXPECT_EQ(loaded.arrays.at(path).bytes, array.bytes) << path;
}

TEST(Reader, fails_alike_on_every_rank) {
  TemporaryDirectory folder;
  const fs::path file = folder.path() / "step-0000001.h5";
  write_file(file, std::vector<std::byte>(2000));
  std::vector<std::string> messages(3);
  comm::run_ranks(3, [&](comm::Communicator& communicator) {
    messages[static_cast<std::size_t>(communicator.rank().value)] =
        message_of(ErrorKind::data, [&] { Reader(communicator, file); });
  });
  EXPECT_THAT(messages[0], HasSubstr("does not begin as a checkpoint does"));
  EXPECT_EQ(messages[1], messages[0]);
  EXPECT_EQ(messages[2], messages[0]);
}

TEST(Reader, says_what_was_asked_and_what_there_is) {
  TemporaryDirectory folder;
  Content content = small_content();
  const fs::path file = save_from(1, folder.path(), 1, content);
  const Reader reader(file);
  std::vector<std::byte> bytes(4096);
  const auto read = [&](const Slice& slice) {
    return message_of(ErrorKind::data, [&] { reader.read(slice); });
  };
  const std::string weight = "parameters/gate/dense_1/weight";
  EXPECT_THAT(read({weight, DType::float32, {7, 6}, 0, 7, bytes.data()}),
              AllOf(HasSubstr(weight), HasSubstr("7 x 6"), HasSubstr("7 x 5"), HasSubstr(file.string())));
  EXPECT_THAT(read({weight, DType::float64, {7, 5}, 0, 7, bytes.data()}),
              AllOf(HasSubstr("float64"), HasSubstr("float32")));
  EXPECT_THAT(read({"parameters/absent", DType::float32, {7, 5}, 0, 7, bytes.data()}),
              AllOf(HasSubstr("parameters/absent"), HasSubstr("nothing of this name")));
  EXPECT_THAT(message_of(ErrorKind::data, [&] { reader.integer("state/loss"); }),
              AllOf(HasSubstr("int64"), HasSubstr("float64")));
  EXPECT_THAT(message_of(ErrorKind::data, [&] { reader.number("config"); }), HasSubstr("a text"));
  EXPECT_THAT(message_of(ErrorKind::data, [&] { reader.text(weight); }), HasSubstr("7 x 5"));
  EXPECT_THAT(message_of(ErrorKind::contract,
                         [&] {
                           reader.read({weight, DType::float32, {7, 5}, {17, 36}, bytes.data()});
                         }),
              HasSubstr("elements 17 to 36"));
  EXPECT_TRUE(reader.contains(weight));
  EXPECT_FALSE(reader.contains("parameters"));
}

TEST(Reader, moves) {
  TemporaryDirectory folder;
  Content content = small_content();
  Reader first(save_from(1, folder.path(), 1, content));
  const Reader second(std::move(first));
  EXPECT_EQ(second.integer("state/step"), 200);
}

}  // namespace
}  // namespace switchyard::checkpoint
