// A damaged file must be recognised before HDF5 sees a byte of it.
#include <fcntl.h>
#include <sys/stat.h>

#include <random>

#include "base/hash.hpp"
#include "checkpoint/detail/user_block.hpp"
#include "fixture.hpp"

namespace switchyard::checkpoint {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string verify_message(const fs::path& file) {
  return message_of(ErrorKind::data, [&] { verify(file); });
}

class Damage : public testing::Test {
 protected:
  Damage() : content_(small_content()), file_(save_from(1, folder_.path(), 200, content_)) {
    original_ = bytes_of_file(file_);
  }

  // Whether the file with these bits flipped is refused by its bytes alone. The file is whole again afterwards.
  bool flip_is_found(std::size_t position, std::byte bits) {
    const auto put = [&](std::byte byte) {
      const files::File file(file_, O_WRONLY);
      file.write_at(static_cast<index_t>(position), {&byte, 1});
    };
    put(original_[position] ^ bits);
    bool found = false;
    try {
      detail::verify_bytes(file_);
    } catch (const detail::Failure&) {
      found = true;
    }
    put(original_[position]);
    return found;
  }

  TemporaryDirectory folder_;
  Content content_;
  fs::path file_;
  std::vector<std::byte> original_;
};

TEST_F(Damage, any_flipped_bit_of_the_user_block_is_found) {
  for (std::size_t position = 0; position < detail::user_block_bytes; ++position)
    for (int bit = 0; bit < 8; ++bit) ASSERT_TRUE(flip_is_found(position, std::byte{1} << bit)) << position;
}

// Superblock, object headers, links, checksums, data and the gaps between them.
TEST_F(Damage, a_flipped_bit_in_any_byte_behind_it_is_found) {
  std::mt19937 random(1);
  for (std::size_t position = detail::user_block_bytes; position < original_.size(); ++position)
    ASSERT_TRUE(flip_is_found(position, std::byte{1} << (random() % 8))) << position;
  verify(file_);  // the test has put everything back
}

TEST_F(Damage, any_shorter_file_is_found) {
  for (std::size_t bytes = original_.size(); bytes-- > 0; bytes -= bytes > 2000 ? 97 : 0) {
    fs::resize_file(file_, bytes);
    ASSERT_THROW(verify(file_), Error) << bytes;
  }
}

TEST_F(Damage, the_messages_say_what_is_wrong_with_which_file) {
  const auto expect = [&](const std::string& reason) {
    EXPECT_THAT(verify_message(file_), AllOf(HasSubstr(reason), HasSubstr(file_.string()),
                                             HasSubstr("switchyard verify"), HasSubstr("older")));
    EXPECT_THAT(message_of(ErrorKind::data, [&] { Reader reader(file_); }), HasSubstr(reason));
    EXPECT_THAT(message_of(ErrorKind::data, [&] { inspect(file_); }), HasSubstr(reason));
    EXPECT_THAT(message_of(ErrorKind::data, [&] { diff(file_, file_); }), HasSubstr(reason));
  };
  std::vector<std::byte> bytes = original_;
  bytes[original_.size() / 2] ^= std::byte{16};
  write_file(file_, bytes);
  expect("its content is damaged");
  bytes = original_;
  bytes[300] ^= std::byte{16};  // unused, and covered all the same
  write_file(file_, bytes);
  expect("its first 512 bytes are damaged");
  bytes.assign(original_.begin(), original_.begin() + 5000);
  write_file(file_, bytes);
  expect("it has 5000 bytes and was written with " + std::to_string(original_.size()) + ": it was cut short");
  bytes = original_;
  bytes.push_back(std::byte{0});
  write_file(file_, bytes);
  expect("added to");
  write_file(file_, {});
  expect("it is empty");
  write_file(file_, std::vector<std::byte>(100));
  expect("it has 100 bytes");
  const std::string text(1000, 'x');
  write_file(file_, std::as_bytes(std::span(text)));
  expect("does not begin as a checkpoint does");
  fs::remove(file_);
  expect("No such file or directory");
  fs::create_directory(file_);
  expect("it is a folder");
  fs::remove(file_);
  ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
  expect("not a regular file");  // and not a wait for somebody who writes into it
}

TEST_F(Damage, another_schema_version_is_told_from_damage) {
  const files::File file(file_, O_WRONLY);
  detail::UserBlock block = detail::verify_bytes(file_);
  block.schema_version = 7;
  file.write_at(0, detail::encode(block));
  EXPECT_THAT(verify_message(file_), AllOf(HasSubstr("schema version 7"), HasSubstr("version 2")));
}

// Bytes changed by somebody who renews the digest: what the checksums in the file are for.
TEST_F(Damage, a_changed_data_set_under_a_renewed_digest_is_found_by_its_name) {
  const std::span<const std::byte> wanted = content_.arrays.at("parameters/expert_5/weight").bytes;
  const auto at = std::search(original_.begin(), original_.end(), wanted.begin(), wanted.end());
  ASSERT_NE(at, original_.end());
  std::vector<std::byte> bytes = original_;
  bytes[static_cast<std::size_t>(at - original_.begin()) + 17] ^= std::byte{1};
  write_file(file_, bytes);
  detail::seal(file_);
  EXPECT_THAT(verify_message(file_), AllOf(HasSubstr("parameters/expert_5/weight"), HasSubstr("CRC-32")));
}

// An all-zero HDF5 part, honestly sealed.
TEST_F(Damage, what_is_no_hdf5_is_an_error_with_its_reason) {
  std::fill(original_.begin(), original_.end(), std::byte{0});
  write_file(file_, original_);
  detail::seal(file_);
  EXPECT_THAT(verify_message(file_),
              AllOf(HasSubstr("is not as this program writes it"), HasSubstr("begin with")));
}

}  // namespace
}  // namespace switchyard::checkpoint
