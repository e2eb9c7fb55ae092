// Disks that are full or cannot be written. Each test mounts a small file system, which takes root.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <set>

#include "checkpoint/detail/save_plan.hpp"
#include "checkpoint/hdf5.hpp"
#include "comm/local/local_communicator.hpp"
#include "comm/threads/thread_group.hpp"
#include "fixture.hpp"

#ifdef SWITCHYARD_SANITIZED
// What libhdf5 holds of a file that it could not close stays allocated on purpose. That no id of ours stays
// open is checked below by counting.
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5"; }
#endif

namespace switchyard::checkpoint {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr index_t page = 4096;

// One array of 128 KiB, then many small ones: the library keeps what it knows of them until the file is closed.
Content bulky_content() {
  Content content;
  content.header.integers = {{"state/step", 1}};
  content.add<float>("a/large", DType::float32, {32, 1024}, std::vector<float>(32 * 1024, 1.5f));
  for (int i = 0; i < 300; ++i)
    content.add<float>("b/small_" + std::to_string(i), DType::float32, {1}, {static_cast<float>(i)});
  return content;
}

std::string save_message(const fs::path& folder, Content& content, detail::ReserveSpace reserve,
                         int ranks = 1) {
  return message_of(ErrorKind::data, [&] { save_from(ranks, folder, 1, content, {}, reserve); });
}

ssize_t open_hdf5_objects() {
  const hdf5::LibraryLock lock;
  return H5Fget_obj_count(static_cast<hid_t>(H5F_OBJ_ALL), H5F_OBJ_ALL);
}

TEST(ExpectedFileBytes, bounds_the_file_from_above) {
  comm::LocalCommunicator local;
  for (Content content : {Content{}, small_content(), bulky_content()}) {
    TemporaryDirectory folder;
    const auto actual = static_cast<index_t>(fs::file_size(save_from(1, folder.path(), 1, content)));
    const auto plan = detail::gather_save_plan(local, slices_of(content, 0, 1));
    const index_t expected = detail::expected_file_bytes(plan, content.header);
    EXPECT_GE(expected, actual);
    EXPECT_LE(expected, 2 * actual + 20'000);
  }
}

// On the disk of the temporary folder and in memory: file systems differ in what they do with a reservation.
TEST(Reservation, gives_back_what_it_has_too_much) {
  Content one_array;
  one_array.add<float>("a", DType::float32, {100}, std::vector<float>(100));
  TemporaryDirectory folder;
  SmallDisk disk(1000 * page);
  for (Content content : {one_array, small_content(), bulky_content()})
    for (const fs::path& path : {folder.path(), disk.path()}) {
      struct stat facts {};
      ASSERT_EQ(::stat(save_from(1, path, 1, content).c_str(), &facts), 0);
      EXPECT_LE(facts.st_blocks * 512, (facts.st_size / page + 1) * page) << path;
    }
}

TEST(FullDisk, is_found_before_anything_is_written) {
  SmallDisk disk(40 * page);
  Content content = bulky_content();
  const index_t before = disk.free_bytes();
  const std::string message = save_message(disk.path(), content, detail::ReserveSpace::yes);
  EXPECT_THAT(message, AllOf(HasSubstr("step-0000001.h5"), HasSubstr("reserving space"),
                             HasSubstr("No space left on device"), HasSubstr("switchyard resume"),
                             HasSubstr(std::to_string(before) + " bytes are free")));
  EXPECT_TRUE(names_in(disk.path()).empty());
  EXPECT_EQ(disk.free_bytes(), before);
}

// From a disk that is too small for the first page to one that is large enough, so that space runs out at every
// stage. After each failure the folder and the space are as before, on every rank.
TEST(FullDisk, at_any_later_moment_leaves_the_folder_as_it_was) {
  Content old_content = small_content();
  Content content = bulky_content();
  std::set<std::string> stages;
  bool succeeded = false;
  for (index_t pages = 20; !succeeded; pages += 1 + pages / 24) {
    SmallDisk disk(pages * page);
    save_from(1, disk.path(), 0, old_content, {}, detail::ReserveSpace::no);
    const index_t before = disk.free_bytes();
    try {
      save_from(static_cast<int>(pages % 2 + 1), disk.path(), 1, content, {}, detail::ReserveSpace::no);
      succeeded = true;
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_EQ(error.kind(), ErrorKind::data) << message;
      EXPECT_THAT(message, AllOf(HasSubstr("step-0000001.h5"), HasSubstr("No space left on device")));
      for (const char* stage : {"writing 'a/large'", "closing the file"})
        if (message.find(stage) != std::string::npos) stages.insert(stage);
      EXPECT_THAT(names_in(disk.path()), ElementsAre("latest", "step-0000000.h5")) << message;
      EXPECT_EQ(disk.free_bytes(), before) << message;
      EXPECT_EQ(newest_valid(disk.path()), disk.path() / "step-0000000.h5");
    }
    ASSERT_LT(pages, 1000);
  }
  EXPECT_THAT(stages, ElementsAre("closing the file", "writing 'a/large'"));
}

TEST(FullDisk, fails_alike_on_every_rank_while_others_still_send) {
  SmallDisk disk(60 * page);
  Content content = bulky_content();
  // Comes after 'a/large' in the order of paths, in many messages from rank 1, which the root must still take.
  content.add<float>("c/large", DType::float32, {3, 4 << 20}, std::vector<float>(3 * (4 << 20)));
  std::vector<std::string> messages(3);
  comm::run_ranks(3, [&](comm::Communicator& communicator) {
    const int rank = communicator.rank().value;
    messages[static_cast<std::size_t>(rank)] = message_of(ErrorKind::data, [&] {
      const std::vector<Slice> slices = slices_of(content, rank, 3);
      detail::save(communicator, disk.path(), {1, content.header, slices}, {}, detail::ReserveSpace::no);
    });
    EXPECT_TRUE(names_in(disk.path()).empty()) << "seen by rank " << rank;
  });
  EXPECT_THAT(messages[0], HasSubstr("No space left on device"));
  EXPECT_EQ(messages[1], messages[0]);
  EXPECT_EQ(messages[2], messages[0]);
}

// Space runs out in the large array while the library still holds what it knows of the small ones: cutting the
// file to nothing gives it the space to let go of them, so that nothing of the failed save stays open.
TEST(FullDisk, while_writing_leaves_nothing_open) {
  SmallDisk disk(30 * page);
  Content content = bulky_content();
  content.arrays["z/large"] = content.arrays.at("a/large");
  content.arrays.erase("a/large");
  const ssize_t before = open_hdf5_objects();  // other tests may have left files that could not be closed
  EXPECT_THAT(save_message(disk.path(), content, detail::ReserveSpace::no), HasSubstr("writing 'z/large'"));
  EXPECT_EQ(open_hdf5_objects(), before);
}

// Saves to disks of growing size until one is large enough, then to a roomy one, which must go well. True if at
// least one of the failures was found at closing, when the library writes what it still holds.
bool fails_at_close_and_goes_on() {
  Content content = bulky_content();
  bool failed_at_close = false;
  for (index_t pages = 33;; ++pages) {
    SmallDisk disk(pages * page);
    try {
      save_from(1, disk.path(), 1, content, {}, detail::ReserveSpace::no);
      break;
    } catch (const Error& error) {
      failed_at_close |= std::string_view(error.what()).find("closing the file") != std::string_view::npos;
    }
  }
  TemporaryDirectory roomy;
  verify(save_from(1, roomy.path(), 1, content));
  return failed_at_close;
}

// The library must not be asked again about a file that it could not close, not even at exit: that ended in
// SIGSEGV.
TEST(FullDisk, does_not_crash_at_exit_nor_spoil_the_next_save) {
  const pid_t child = ::fork();
  if (child == 0) std::exit(fails_at_close_and_goes_on() ? 0 : 9);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// Room for the checkpoint, but not for one more page: the pointers are written before the first name changes.
TEST(FullDisk, while_the_pointers_are_written_changes_no_name) {
  Content content = small_content();
  TemporaryDirectory roomy;
  const auto file_bytes = static_cast<index_t>(fs::file_size(save_from(1, roomy.path(), 1, content)));
  SmallDisk disk((file_bytes / page + 1) * page);
  EXPECT_THAT(save_message(disk.path(), content, detail::ReserveSpace::no),
              HasSubstr("No space left on device"));
  EXPECT_TRUE(names_in(disk.path()).empty());
}

TEST(UnwritableFolder, is_an_error_that_names_it) {
  Content content = small_content();
  {
    SmallDisk disk(100 * page);
    save_from(1, disk.path(), 0, content);
    disk.make_read_only();
    EXPECT_THAT(save_message(disk.path(), content, detail::ReserveSpace::yes, 2),
                AllOf(HasSubstr(disk.path().string()), HasSubstr("Read-only file system")));
    EXPECT_THAT(names_in(disk.path()), ElementsAre("latest", "step-0000000.h5"));
  }
  TemporaryDirectory folder;
  EXPECT_THAT(save_message(folder.path() / "absent", content, detail::ReserveSpace::yes, 3),
              AllOf(HasSubstr("absent"), HasSubstr("there is no folder")));
  write_file(folder.path() / "file", {});
  EXPECT_THAT(save_message(folder.path() / "file", content, detail::ReserveSpace::yes),
              HasSubstr("is not a folder"));
}

}  // namespace
}  // namespace switchyard::checkpoint
