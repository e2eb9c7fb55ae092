// The runs below a folder, a line each.
#include "report/run_list.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.hpp"
#include "files/folder_lock.hpp"
#include "report/metrics_scan.hpp"
#include "support/temporary_directory.hpp"
#include "unit/report/fixtures.hpp"

namespace switchyard::report {
namespace {

using test::step_line;
using test::write_file;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class RunList : public testing::Test {
 protected:
  std::filesystem::path run(const std::string& name) {
    test::write_run(folder_.path() / name);
    return folder_.path() / name;
  }
  Listed only() {
    const std::vector<Listed> rows = list_runs(folder_.path());
    EXPECT_EQ(rows.size(), 1U);
    return rows.empty() ? Listed{} : rows.front();
  }
  std::vector<std::string> names() {
    std::vector<std::string> names;
    for (const Listed& row : list_runs(folder_.path())) names.push_back(row.folder);
    return names;
  }
  // How long ago everything in the folder was written.
  void age(const std::filesystem::path& run, int hours) {
    for (const auto& entry : std::filesystem::directory_iterator(run))
      std::filesystem::last_write_time(
          entry, std::filesystem::file_time_type::clock::now() - std::chrono::hours(hours));
  }
  test::TemporaryDirectory folder_;
};

TEST_F(RunList, says_what_a_finished_run_did) {
  run("one");
  const Listed row = only();
  EXPECT_EQ(row.folder, "one");
  EXPECT_EQ(row.state, ListedState::finished);
  EXPECT_EQ(row.done, 12);
  EXPECT_EQ(row.planned, 12);
  EXPECT_EQ(row.score, "error");
  EXPECT_EQ(row.validation, 0.04);
  EXPECT_EQ(row.test, 0.0425);
  EXPECT_EQ(row.parameters, 123456);
  EXPECT_EQ(row.seconds, 12) << "of all steps, though the summary tells of the last process alone";
}

TEST_F(RunList, takes_the_score_by_which_the_best_was_chosen) {
  write_file(run("one") / "summary.json",
             R"({"steps":12,"validation":{"error":0.5,"loss":2,"r2":0.75},"test":{"error":0.5,"r2":0.5},)"
             R"("best":{"step":8,"epoch":2,"r2":0.875},"exit":{"code":0,"reason":""}})");
  EXPECT_EQ(only().score, "r2");
  EXPECT_EQ(only().validation, 0.75);
  EXPECT_EQ(only().test, 0.5);
}

TEST_F(RunList, takes_the_loss_of_text) {
  test::write_text_run(folder_.path() / "words");
  EXPECT_EQ(only().score, "loss");
  EXPECT_EQ(only().test, 0.6875);
}

TEST_F(RunList, of_a_run_that_was_killed_tells_from_its_records) {
  std::filesystem::remove(run("one") / "summary.json");
  write_file(folder_.path() / "one/config.ini", "[train]\nepochs = 5\nmax_steps = 0\n");
  const Listed row = only();
  EXPECT_EQ(row.state, ListedState::unfinished);
  EXPECT_EQ(row.done, 12);
  EXPECT_EQ(row.planned, 20) << "epochs of four steps";
  EXPECT_EQ(row.validation, 0.5 / 12) << "the newest evaluation";
  EXPECT_TRUE(std::isnan(row.test));
  EXPECT_TRUE(std::isnan(row.parameters));
}

TEST_F(RunList, plans_no_more_than_max_steps) {
  std::filesystem::remove(run("one") / "summary.json");
  write_file(folder_.path() / "one/config.ini", "[train]\nepochs = 5\nmax_steps = 14\n");
  EXPECT_EQ(only().planned, 14);
  write_file(folder_.path() / "one/config.ini", "[train]\nepochs = 4\nmax_steps = 99\n");
  EXPECT_EQ(only().planned, 16) << "the epochs end before";
  write_file(folder_.path() / "one/metrics.jsonl", step_line(1, 1.0));
  EXPECT_EQ(only().planned, 99);
  write_file(folder_.path() / "one/config.ini", "[train]\nepochs = 5\nmax_steps = 0\n");
  EXPECT_TRUE(std::isnan(only().planned)) << "nobody knows yet how long an epoch is";
}

TEST_F(RunList, says_why_a_run_stopped_and_when_it_went_on) {
  write_file(run("one") / "summary.json", R"({"steps":12,"exit":{"code":75,"reason":"SIGUSR1"}})");
  EXPECT_EQ(only().state, ListedState::stopped);
  EXPECT_EQ(only().exit_code, 75);
  EXPECT_EQ(only().reason, "SIGUSR1");
  write_file(folder_.path() / "one/summary.json", R"({"steps":7,"exit":{"code":75,"reason":"SIGUSR1"}})");
  EXPECT_EQ(only().state, ListedState::unfinished) << "it was resumed, and killed";
  EXPECT_EQ(only().done, 12);
}

TEST_F(RunList, of_a_run_whose_lock_is_held_says_that_it_runs) {
  const std::filesystem::path folder = run("one");
  {
    const files::File lock = files::lock_folder(folder, {"run folder", "run", "run.dir"});
    EXPECT_EQ(only().state, ListedState::running);
    EXPECT_EQ(only().state, ListedState::running) << "asking changes nothing";
    EXPECT_TRUE(files::is_locked(folder));
  }
  EXPECT_FALSE(files::is_locked(folder));
  EXPECT_EQ(only().state, ListedState::finished);
}

TEST_F(RunList, leaves_damaged_runs_among_the_others) {
  run("one");
  write_file(run("two") / "summary.json", "{");
  const std::vector<Listed> rows = list_runs(folder_.path());
  ASSERT_EQ(rows.size(), 2U);
  const Listed& broken = rows[rows[0].folder == "two" ? 0 : 1];
  EXPECT_EQ(broken.state, ListedState::damaged);
  EXPECT_THAT(broken.reason, HasSubstr("is no JSON object"));
}

TEST_F(RunList, has_the_newest_first_however_deep) {
  age(run("a"), 3);
  age(run("deep/er/b"), 1);
  age(run("c"), 2);
  run(".hidden");
  write_file(folder_.path() / "notes/text", "");
  EXPECT_THAT(names(), ElementsAre("deep/er/b", "c", "a"));
}

TEST_F(RunList, follows_links_to_runs_alone) {
  const std::filesystem::path folder = run("inner/one");
  std::filesystem::create_directory_symlink(folder, folder_.path() / "link");
  std::filesystem::create_directory_symlink(folder_.path(), folder_.path() / "circle");
  EXPECT_THAT(names(), UnorderedElementsAre("inner/one", "link"));
}

TEST_F(RunList, has_one_line_for_a_study_and_lists_its_runs_when_asked) {
  const std::filesystem::path study = folder_.path() / "studies/small";
  test::write_study(study);
  test::write_run(study / "runs/plain/seed-1");
  test::write_run(study / "selection/plain/x=1/seed-1");
  write_file(study / "runs/other/seed-2/failed.json", R"({"kind":"NumericError","message":"diverged"})");
  const Listed row = only();
  EXPECT_TRUE(row.is_study);
  EXPECT_EQ(row.folder, "studies/small");
  EXPECT_EQ(row.state, ListedState::unfinished);
  EXPECT_EQ(row.done, 1);
  EXPECT_EQ(row.planned, 4);
  EXPECT_EQ(row.reason, "1 of its runs failed");
  std::vector<std::string> names;
  for (const Listed& run : list_runs(study)) names.push_back(run.folder);
  EXPECT_THAT(names, UnorderedElementsAre("runs/plain/seed-1", "runs/plain/seed-2", "runs/other/seed-2",
                                          "selection/plain/x=1/seed-1"));
}

TEST_F(RunList, knows_a_study_that_has_only_begun) {
  test::write_run(folder_.path() / "s/selection/a/x=1/seed-1");
  write_file(folder_.path() / "s/lock", "");
  EXPECT_TRUE(only().is_study);
  EXPECT_EQ(only().done, 0);
  EXPECT_TRUE(std::isnan(only().planned));
  EXPECT_EQ(only().state, ListedState::unfinished);
}

TEST_F(RunList, of_nothing_is_empty_and_of_a_run_that_run) {
  EXPECT_THAT(list_runs(folder_.path()), IsEmpty());
  const std::filesystem::path folder = run("one");
  const std::vector<Listed> rows = list_runs(folder);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].folder, folder.string());
  EXPECT_THROW(list_runs(folder_.path() / "gone"), DataError);
  EXPECT_THROW(list_runs(folder / "config.ini"), DataError);
}

TEST(MetricsScan, passes_over_torn_and_foreign_lines) {
  const test::TemporaryDirectory folder;
  const std::filesystem::path file = folder.path() / "metrics.jsonl";
  write_file(file, step_line(1, 1.0) + "nothing of ours\n\n{\"kind\":\"else\",\"step\":99}\n" +
                       step_line(2, 0.5) + R"({"kind":"step","step":77,"epo)");
  const MetricsScan scan = scan_metrics(file);
  EXPECT_EQ(scan.last_step, 2);
  EXPECT_EQ(scan.seconds, 2);
  EXPECT_TRUE(std::isnan(scan.steps_per_epoch));
  EXPECT_EQ(scan_metrics(folder.path() / "gone").last_step, 0);
}

}  // namespace
}  // namespace switchyard::report
