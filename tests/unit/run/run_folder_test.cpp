#include "run/run_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "base/error.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::run {
namespace {

using run::ResumeMode;
using testing::AllOf;
using testing::HasSubstr;

class RunFolderTest : public testing::Test {
 protected:
  std::filesystem::path run() const { return folder_.path() / "runs" / "a"; }
  static void touch(const std::filesystem::path& file) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << "x";
  }
  static std::string content(const std::filesystem::path& file) {
    std::ostringstream text;
    text << std::ifstream(file, std::ios::binary).rdbuf();
    return text.str();
  }
  static std::string failure_of(const auto& action) {
    try {
      action();
    } catch (const DataError& error) {
      EXPECT_EQ(exit_code(error.kind()), ExitCode::data);
      return error.what();
    }
    return "did not throw";
  }
  static std::string failure_of_create(const std::filesystem::path& path, ResumeMode mode = ResumeMode::never) {
    return failure_of([&] { RunFolder::create(path, mode); });
  }

  test::TemporaryDirectory folder_;
};

TEST_F(RunFolderTest, makes_the_folder_and_its_parents) {
  const RunFolder folder = RunFolder::create(run(), ResumeMode::never);
  EXPECT_TRUE(std::filesystem::is_directory(folder.checkpoint_folder()));
  EXPECT_FALSE(folder.has_run());
  EXPECT_FALSE(folder.has_checkpoint());
  EXPECT_EQ(folder.config_file(), run() / "config.ini");
  EXPECT_EQ(folder.metrics_file(), run() / "metrics.jsonl");
  EXPECT_EQ(folder.summary_file(), run() / "summary.json");
}

TEST_F(RunFolderTest, takes_a_folder_with_other_files) {
  touch(run() / "notes.txt");
  touch(run() / "checkpoints" / "step-0000200.h5.tmp");
  EXPECT_FALSE(RunFolder::create(run(), ResumeMode::never).has_run());
}

TEST_F(RunFolderTest, refuses_to_train_over_a_run_and_says_how_to_go_on) {
  for (const char* file : {"config.ini", "checkpoints/step-0000200.h5"}) {
    const auto path = run() / std::filesystem::path(file).stem();
    touch(path / file);
    EXPECT_THAT(failure_of_create(path), AllOf(HasSubstr("already holds a run"), HasSubstr("--run.resume=auto"),
                                               HasSubstr("`switchyard resume " + path.string() + "`")));
    EXPECT_TRUE(RunFolder::create(path, ResumeMode::automatic).has_run());
    EXPECT_TRUE(RunFolder::open(path).has_run());
  }
}

TEST_F(RunFolderTest, tells_a_started_run_from_one_with_a_checkpoint) {
  const RunFolder folder = RunFolder::create(run(), ResumeMode::automatic);
  folder.write_config("[run]\n");
  EXPECT_TRUE(folder.has_run());
  EXPECT_FALSE(folder.has_checkpoint());
  touch(folder.checkpoint_folder() / "step-0000001.h5");
  EXPECT_TRUE(folder.has_checkpoint());
}

TEST_F(RunFolderTest, opens_only_a_run_and_leaves_other_folders_as_they_are) {
  EXPECT_THAT(failure_of([&] { RunFolder::open(run()); }),
              AllOf(HasSubstr("there is no run in '" + run().string() + "' (it does not exist)"),
                    HasSubstr("switchyard train FILE.ini --run.dir=" + run().string())));
  EXPECT_FALSE(std::filesystem::exists(run()));
  std::filesystem::create_directories(run());
  EXPECT_THAT(failure_of([&] { RunFolder::open(run()); }), HasSubstr("neither a config.ini nor checkpoints"));
  EXPECT_TRUE(std::filesystem::is_empty(run()));
  touch(folder_.path() / "file");
  EXPECT_THAT(failure_of([&] { RunFolder::open(folder_.path() / "file"); }), HasSubstr("it is a file"));
}

TEST_F(RunFolderTest, says_why_a_folder_cannot_be_made) {
  const auto file = folder_.path() / "file";
  touch(file);
  EXPECT_THAT(failure_of_create(file),
              AllOf(HasSubstr("'" + file.string() + "' (Not a directory)"), HasSubstr("--run.dir")));
  EXPECT_THAT(failure_of_create(file / "below" / "it"), HasSubstr("(Not a directory)"));
  EXPECT_THAT(failure_of_create("/proc/switchyard-run"),
              HasSubstr("cannot make the run folder '/proc/switchyard-run' ("));
  std::filesystem::create_directories(run());
  touch(run() / "checkpoints");
  EXPECT_THAT(failure_of_create(run()), HasSubstr("checkpoints' (Not a directory)"));
}

TEST_F(RunFolderTest, replaces_files_whole) {
  const RunFolder folder = RunFolder::create(run(), ResumeMode::never);
  folder.write_config("[run]\nseed = 1\n");
  folder.write_config("[run]\nseed = 2\n");
  EXPECT_EQ(content(folder.config_file()), "[run]\nseed = 2\n");
  folder.write_summary({{"steps", 3}, {"exit", {{"reason", "no UTF-8: \xff"}}}});
  EXPECT_EQ(nlohmann::json::parse(content(folder.summary_file()))["steps"], 3);
  EXPECT_FALSE(std::filesystem::exists(run() / "config.ini.tmp"));
}

TEST_F(RunFolderTest, leaves_the_old_file_where_the_new_one_fails) {
  const RunFolder folder = RunFolder::create(run(), ResumeMode::never);
  folder.write_config("old");
  std::filesystem::create_symlink("config.ini", run() / "config.ini.tmp");  // is taken away, not followed
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &none);
  EXPECT_THAT(failure_of([&] { folder.write_config("new"); }), HasSubstr("(File too large)"));
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(content(folder.config_file()), "old");
}

TEST_F(RunFolderTest, keeps_a_second_writer_out_and_names_the_first) {
  const RunFolder first = RunFolder::create(run(), ResumeMode::never);
  first.write_config("");
  const std::string holder = "process " + std::to_string(getpid()) + " on ";
  EXPECT_THAT(failure_of_create(run(), ResumeMode::automatic),
              AllOf(HasSubstr("is in use"), HasSubstr(holder)));
  EXPECT_THAT(failure_of_create(run()), HasSubstr("is in use"));
  EXPECT_THAT(failure_of([&] { RunFolder::open(run()); }), HasSubstr("is in use"));
}

TEST_F(RunFolderTest, can_be_taken_again_once_it_is_given_up) {
  { const RunFolder first = RunFolder::create(run(), ResumeMode::never); }
  EXPECT_NO_THROW(RunFolder::create(run(), ResumeMode::never));
}

TEST_F(RunFolderTest, keeps_its_lock_when_moved) {
  RunFolder first = RunFolder::create(run(), ResumeMode::never);
  const RunFolder moved = std::move(first);
  EXPECT_THAT(failure_of_create(run()), HasSubstr("is in use"));
}

// A child takes the folder, says so through a pipe, and is killed: its lock must go with it.
TEST_F(RunFolderTest, is_free_again_after_its_writer_was_killed) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    try {
      const RunFolder folder = RunFolder::create(run(), ResumeMode::never);
      if (write(ready[1], "x", 1) == 1) pause();
    } catch (...) {  // the parent sees the pipe close
    }
    _exit(1);
  }
  close(ready[1]);
  char byte = 0;
  const bool taken = read(ready[0], &byte, 1) == 1;
  close(ready[0]);
  const std::string refused = failure_of_create(run());
  kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(taken) << "the child could not take the folder";
  EXPECT_THAT(refused, HasSubstr("process " + std::to_string(child) + " on "));
  EXPECT_NO_THROW(RunFolder::create(run(), ResumeMode::never));
}

}  // namespace
}  // namespace switchyard::run
