#include <chrono>
#include <thread>

#include "checkpoint/detail/pieces.hpp"
#include "comm/local/local_communicator.hpp"
#include "comm/threads/thread_group.hpp"
#include "fixture.hpp"

namespace switchyard::checkpoint {
namespace {

using testing::HasSubstr;

void expect_holds(const fs::path& file, const Content& content) {
  const Reader reader(file);
  for (const auto& [path, value] : content.header.integers) EXPECT_EQ(reader.integer(path), value);
  for (const auto& [path, value] : content.header.numbers) EXPECT_EQ(reader.number(path), value);
  for (const auto& [path, value] : content.header.texts) EXPECT_EQ(reader.text(path), value);
  const std::vector<Slice> arrays = reader.arrays();
  ASSERT_EQ(arrays.size(), content.arrays.size());
  for (Slice slice : arrays) {
    const Content::Array& array = content.arrays.at(slice.path);
    EXPECT_EQ(slice.shape, array.shape) << slice.path;
    EXPECT_EQ(slice.dtype, array.dtype) << slice.path;
    std::vector<std::byte> bytes(array.bytes.size());
    slice.data = bytes.data();
    reader.read(slice);
    EXPECT_EQ(bytes, array.bytes) << slice.path;
  }
}

TEST(Save, gives_back_what_was_saved_from_any_number_of_ranks) {
  for (const int ranks : {1, 2, 3, 5}) {
    TemporaryDirectory folder;
    Content content = small_content();
    const fs::path file = save_from(ranks, folder.path(), 200, content);
    expect_holds(file, content);
    verify(file);
    EXPECT_EQ(Reader(file).integer("schema_version"), schema_version);
    EXPECT_EQ(names_in(folder.path()), (std::vector<std::string>{"latest", "step-0000200.h5"}));
  }
}

TEST(Save, writes_the_same_bytes_from_any_number_of_ranks_at_any_time) {
  TemporaryDirectory folder;
  Content content = small_content();
  const std::vector<std::byte> expected = bytes_of_file(save_from(1, folder.path(), 1, content));
  std::this_thread::sleep_for(
      std::chrono::milliseconds(1100));  // a time in the file would show: HDF5 counts seconds
  for (const int ranks : {1, 2, 3})
    EXPECT_EQ(bytes_of_file(save_from(ranks, folder.path(), 1, content)), expected) << ranks << " ranks";
  // Reserved or not: the reservation leaves no trace.
  EXPECT_EQ(bytes_of_file(save_from(1, folder.path(), 1, content, {}, detail::ReserveSpace::no)), expected);
}

TEST(Save, moves_rows_larger_than_a_piece_between_ranks) {
  // 3 rows of 2.5 pieces each: each row travels in three messages.
  const index_t columns = detail::piece_bytes / 4 * 5 / 2;
  Content content;
  std::vector<float> values(static_cast<std::size_t>(3 * columns));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 8191);
  content.add<float>("parameters/wide", DType::float32, {3, columns}, values);
  TemporaryDirectory folder;
  expect_holds(save_from(3, folder.path(), 1, content), content);
}

TEST(Save, replaces_a_checkpoint_of_the_same_step) {
  TemporaryDirectory folder;
  Content content = small_content();
  save_from(1, folder.path(), 200, content);
  content.values<float>("parameters/scale")[0] = 3;
  expect_holds(save_from(2, folder.path(), 200, content), content);
}

TEST(Save, refuses_elements_that_are_missing_given_twice_or_described_differently) {
  TemporaryDirectory folder;
  std::vector<float> values(8, 1.0f);
  auto* data = reinterpret_cast<std::byte*>(values.data());
  const auto save_slices = [&](const std::vector<std::vector<Slice>>& per_rank) {
    return message_of(ErrorKind::contract, [&] {
      comm::run_ranks(static_cast<int>(per_rank.size()), [&](comm::Communicator& communicator) {
        const auto rank = static_cast<std::size_t>(communicator.rank().value);
        save(communicator, folder.path(), {1, Header(), per_rank[rank]}, {});
      });
    });
  };
  const Slice top{"a", DType::float32, {4, 2}, {0, 3}, data};
  const Slice bottom{"a", DType::float32, {4, 2}, {3, 8}, data};
  Slice other = bottom;
  EXPECT_THAT(save_slices({{top}, {}}), HasSubstr("only the first 3 elements"));
  EXPECT_THAT(save_slices({{bottom}, {}}), HasSubstr("begin at 3"));
  EXPECT_THAT(save_slices({{top, bottom}, {bottom}}), HasSubstr("begin at 3"));
  other.shape = {4, 3};
  EXPECT_THAT(save_slices({{top}, {other}}), HasSubstr("4 x 3"));
  other = bottom;
  other.dtype = DType::int64;
  EXPECT_THAT(save_slices({{top}, {other}}), HasSubstr("int64"));
  other = bottom;
  other.elements.end = 9;
  EXPECT_THAT(save_slices({{top}, {other}}), HasSubstr("elements 3 to 9"));
  other = bottom;
  other.data = nullptr;
  EXPECT_THAT(save_slices({{top}, {other}}), HasSubstr("no data"));
  EXPECT_TRUE(names_in(folder.path()).empty());
}

TEST(Save, refuses_paths_that_no_file_can_hold) {
  TemporaryDirectory folder;
  comm::LocalCommunicator local;
  const auto save_header = [&](const Header& header) {
    return message_of(ErrorKind::contract, [&] { save(local, folder.path(), {1, header, {}}, {}); });
  };
  EXPECT_THAT(save_header({{{"a", 1}}, {{"a", 1.0}}, {}}), HasSubstr("two things"));
  EXPECT_THAT(save_header({{{"a", 1}, {"a/b", 2}}, {}, {}}), HasSubstr("group"));
  for (const char* path : {"", "/a", "a/", "a//b", ".", "a/./b"})
    EXPECT_THAT(save_header({{{path, 1}}, {}, {}}), HasSubstr("no path")) << path;
  EXPECT_THAT(save_header({{}, {}, {{"a", std::string("x\0y", 3)}}}), HasSubstr("NUL"));
  EXPECT_TRUE(names_in(folder.path()).empty());
}

}  // namespace
}  // namespace switchyard::checkpoint
