#include "console/progress_line.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

namespace switchyard::console {
namespace {

constexpr index_t wide = 1000;

TEST(ProgressText, says_how_far_training_is) {
  EXPECT_EQ(progress_text({{3, 321, 64, 0.31214, 0.1118}, 20, 2160, 24309.7, "samples", 130.2, {}}, wide),
            "epoch 3/20  step 321/2160  loss 0.3121  error 0.112  24,310 samples/s  2m 10s left");
  EXPECT_EQ(progress_text({{1, 0, 0, 0, 0}, 1, 10, 0, "samples", {}, {}}, wide),
            "epoch 1/1  step 0/10  loss 0.0000  error 0.000  0.0 samples/s");
  EXPECT_EQ(
      progress_text({{3, 321, 64, 0.31214, 0.1118}, 20, 2160, 24309.7, "tokens", 130.2, 0.6249}, wide),
      "epoch 3/20  step 321/2160  loss 0.3121  error 0.112  24,310 tokens/s  2m 10s left  62% of the matrix limit");
}

TEST(ProgressText, keeps_the_time_left_at_any_width) {
  const Progress progress{{3, 321, 64, 0.31214, 0.1118}, 20, 2160, 24309.7, "samples", 130.2, 0.6249};
  EXPECT_EQ(progress_text(progress, 105),
            "epoch 3/20  step 321/2160  loss 0.3121  error 0.112  24,310 samples/s  2m 10s left");
  EXPECT_EQ(progress_text(progress, 81),
            "step 321/2160  loss 0.3121  error 0.112  24,310 samples/s  2m 10s left");
  EXPECT_EQ(progress_text(progress, 69), "step 321/2160  loss 0.3121  error 0.112  2m 10s left");
  EXPECT_EQ(progress_text(progress, 51), "step 321/2160  loss 0.3121  2m 10s left");
  EXPECT_EQ(progress_text(progress, 38), "step 321/2160  2m 10s left");
  EXPECT_EQ(progress_text(progress, 25), "2m 10s left");
  for (index_t columns = 11; columns <= 110; ++columns) {
    const std::string text = progress_text(progress, columns);
    EXPECT_LE(std::ssize(text), columns);
    EXPECT_NE(text.find("2m 10s left"), std::string::npos) << columns << " columns: " << text;
  }
  EXPECT_EQ(progress_text(progress, 4), "2m 1");
}

class ProgressLineTest : public testing::Test {
 protected:
  ProgressLine make(bool live, index_t first_step = 0, index_t columns = 100) {
    ProgressLine::Options options;
    options.epochs = 2;
    options.steps = 100;
    options.first_step = first_step;
    options.steps_per_line = 10;
    options.terminal.live = live;
    options.terminal.style.columns = columns;
    return ProgressLine(out_, options, [this] { return now_; });
  }
  // Steps of 64 samples, each of which takes `seconds`.
  void run(ProgressLine& line, index_t first, index_t last, double seconds) {
    for (index_t step = first; step <= last; ++step) {
      now_ += seconds;
      line.update({step <= 50 ? 1 : 2, step, 64, 0.5, 0.25, seconds});
    }
  }
  std::string taken() {
    const std::string text = out_.str();
    out_.str("");
    return text;
  }

  double now_ = 1000;
  std::ostringstream out_;
};

TEST_F(ProgressLineTest, prints_one_line_per_interval_and_at_the_end) {
  ProgressLine line = make(false);
  run(line, 1, 9, 0.125);
  EXPECT_EQ(taken(), "");
  run(line, 10, 10, 0.125);
  EXPECT_EQ(taken(), "epoch 1/2  step 10/100  loss 0.5000  error 0.250  512 samples/s  11s left\n");
  run(line, 11, 99, 0.125);
  taken();
  run(line, 100, 100, 0.125);
  EXPECT_EQ(taken(), "epoch 2/2  step 100/100  loss 0.5000  error 0.250  512 samples/s  0s left\n");
}

TEST_F(ProgressLineTest, takes_the_rate_from_the_interval_and_the_time_left_from_all_steps) {
  ProgressLine line = make(false);
  run(line, 1, 10, 1.0);
  taken();
  run(line, 11, 20, 0.5);
  // 10 steps of 64 samples in 5 s; 20 steps in 15 s leave 60 s for 80.
  EXPECT_EQ(taken(), "epoch 1/2  step 20/100  loss 0.5000  error 0.250  128 samples/s  1m 0s left\n");
}

TEST_F(ProgressLineTest, names_what_the_rate_counts) {
  ProgressLine line(out_, {.epochs = 2, .steps = 100, .steps_per_line = 10, .samples = "bytes", .terminal = {}},
                    [this] { return now_; });
  run(line, 1, 10, 0.125);
  EXPECT_EQ(taken(), "epoch 1/2  step 10/100  loss 0.5000  error 0.250  512 bytes/s  11s left\n");
}

TEST_F(ProgressLineTest, says_the_share_of_the_rate_that_products_alone_would_have) {
  ProgressLine line(
      out_, {.epochs = 2, .steps = 100, .steps_per_line = 10, .samples_per_second_limit = 1024, .terminal = {}},
      [this] { return now_; });
  run(line, 1, 10, 0.125);
  EXPECT_EQ(
      taken(),
      "epoch 1/2  step 10/100  loss 0.5000  error 0.250  512 samples/s  11s left  50% of the matrix limit\n");
}

TEST_F(ProgressLineTest, does_not_count_what_was_done_before_a_resume) {
  ProgressLine line = make(false, 80);
  run(line, 81, 90, 1.0);
  EXPECT_EQ(taken(), "epoch 2/2  step 90/100  loss 0.5000  error 0.250  64.0 samples/s  10s left\n");
}

TEST_F(ProgressLineTest, does_not_count_an_evaluation_as_training) {
  ProgressLine line = make(false);
  run(line, 1, 10, 1.0);
  taken();
  now_ += 10;
  line.print("epoch 1: validation");
  EXPECT_EQ(taken(), "epoch 1: validation\n");
  run(line, 11, 20, 1.0);
  EXPECT_EQ(taken(), "epoch 1/2  step 20/100  loss 0.5000  error 0.250  64.0 samples/s  2m 0s left\n");
}

// What is between steps, a line of metrics say, takes from the time left alone.
TEST_F(ProgressLineTest, takes_the_rate_from_steps_alone) {
  ProgressLine line = make(false);
  for (index_t step = 1; step <= 10; ++step) {
    now_ += 1;
    line.update({1, step, 64, 0.5, 0.25, 0.5});
  }
  EXPECT_EQ(taken(), "epoch 1/2  step 10/100  loss 0.5000  error 0.250  128 samples/s  1m 30s left\n");
}

TEST_F(ProgressLineTest, overwrites_its_line_on_a_terminal_twice_a_second) {
  {
    ProgressLine line = make(true);
    run(line, 1, 3, 0.125);
    EXPECT_EQ(taken(), "");
    run(line, 4, 4, 0.125);
    EXPECT_EQ(taken(), "\repoch 1/2  step 4/100  loss 0.5000  error 0.250  512 samples/s  12s left\x1b[K");
    line.print("epoch 1: validation");
    EXPECT_EQ(taken(), "\nepoch 1: validation\n");
    line.print("again");
    EXPECT_EQ(taken(), "again\n");
    run(line, 5, 8, 0.125);
    taken();
  }
  EXPECT_EQ(taken(), "\n") << "the live line was not ended";
}

TEST_F(ProgressLineTest, stays_narrower_than_the_terminal) {
  ProgressLine line = make(true, 0, 20);
  run(line, 1, 1, 1.0);
  EXPECT_EQ(taken(), "\r1m 39s left\x1b[K");
}

TEST_F(ProgressLineTest, survives_a_clock_that_stands_still) {
  ProgressLine line = make(false);
  run(line, 1, 10, 0.0);
  EXPECT_EQ(taken(), "epoch 1/2  step 10/100  loss 0.5000  error 0.250  0.0 samples/s  0s left\n");
}

TEST_F(ProgressLineTest, goes_on_with_a_stream_that_broke) {
  ProgressLine line = make(false);
  out_.setstate(std::ios::badbit);
  run(line, 1, 100, 1.0);
  line.print("text");
  EXPECT_EQ(taken(), "");
}

}  // namespace
}  // namespace switchyard::console
