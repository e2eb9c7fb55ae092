#include "study/progress.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "support/temporary_directory.hpp"
#include "unit/study/fixture.hpp"

namespace switchyard::study {
namespace {

// Six selection runs of two epochs and three results of seven, of an arm that costs a second an epoch; three
// results of one that costs ten.
class StudyProgress : public testing::Test {
 protected:
  Spec spec() const {
    return test::spec_of({{"study", "", ""},
                          {"study", "dir", folder_.path().string()},
                          {"study", "seeds", "3"},
                          {"study", "selection_seeds", "2"},
                          {"study", "selection_epochs", "2"},
                          {"arm.dear", "", ""},
                          {"arm.dear", "config", "base.ini"},
                          {"arm.cheap", "", ""},
                          {"arm.cheap", "config", "base.ini"},
                          {"arm.cheap", "moe.importance", "0.2 | 0.4 | 0.6"}});
  }
  void finish(const std::string& run, double seconds) const {
    std::filesystem::create_directories(folder_.path() / run);
    std::ofstream(folder_.path() / run / "summary.json")
        << fmt::format(R"({{"exit": {{"code": 0}}, "train": {{"seconds": {}}}}})", seconds);
  }
  void finish_selection() const {
    for (const char* value : {"0.2", "0.4", "0.6"}) {
      for (const int seed : {1, 2})
        finish(fmt::format("selection/cheap/moe.importance={}/seed-{:04}", value, seed), 2);
    }
  }

  switchyard::test::TemporaryDirectory folder_;
};

TEST_F(StudyProgress, is_not_known_before_a_run_is_done) {
  finish("runs/cheap/seed-0001", 7);  // in an earlier start
  Progress progress(spec());
  EXPECT_EQ(progress.total(), 12);
  EXPECT_EQ(progress.done(), 1);
  EXPECT_TRUE(std::isnan(progress.work_left()));
}

TEST_F(StudyProgress, weighs_what_is_left_by_epochs_and_by_what_the_arm_has_taken) {
  Progress progress(spec());
  finish_selection();  // 12 epochs; 42 are left, of arms of which the cheap one alone is known
  EXPECT_DOUBLE_EQ(progress.work_left(), 42.0 / 12);
  finish("runs/dear/seed-0001", 70);  // 82 s; two of 70 s and three of 7 s are left
  EXPECT_DOUBLE_EQ(progress.work_left(), 161.0 / 82);
}

TEST_F(StudyProgress, a_start_counts_its_own_runs_and_knows_what_earlier_ones_took) {
  finish_selection();
  finish("runs/dear/seed-0001", 70);
  Progress progress(spec());
  finish("runs/cheap/seed-0001", 7);
  EXPECT_DOUBLE_EQ(progress.work_left(), 154.0 / 7);
  finish("runs/cheap/seed-0002", 7);
  finish("runs/cheap/seed-0003", 7);
  finish("runs/dear/seed-0002", 70);
  finish("runs/dear/seed-0003", 70);
  EXPECT_EQ(progress.work_left(), 0);
}

}  // namespace
}  // namespace switchyard::study
