#include "console/terminal.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <string>

#include "support/sample_statistics.hpp"

namespace switchyard::console {
namespace {

TEST(Grouped, separates_thousands) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(-100), "-100");
  EXPECT_EQ(grouped(-1234567), "-1,234,567");
  EXPECT_EQ(grouped(std::numeric_limits<index_t>::max()), "9,223,372,036,854,775,807");
}

TEST(DurationText, names_the_two_largest_units) {
  EXPECT_EQ(duration_text(0), "0s");
  EXPECT_EQ(duration_text(59.4), "59s");
  EXPECT_EQ(duration_text(59.6), "1m 0s");
  EXPECT_EQ(duration_text(130), "2m 10s");
  EXPECT_EQ(duration_text(3600 * 3 + 5 * 60 + 59), "3h 5m");
  EXPECT_EQ(duration_text(86400.0 * 2 + 3600 * 4 + 1800), "2d 4h");
  EXPECT_EQ(duration_text(-1), "?");
  EXPECT_EQ(duration_text(std::nan("")), "?");
  EXPECT_EQ(duration_text(std::numeric_limits<double>::infinity()), "?");
}

TEST(RateText, has_a_decimal_only_where_it_says_something) {
  EXPECT_EQ(rate_text(0), "0.0");
  EXPECT_EQ(rate_text(9.46), "9.5");
  EXPECT_EQ(rate_text(99.96), "100");
  EXPECT_EQ(rate_text(24309.7), "24,310");
  EXPECT_EQ(rate_text(std::nan("")), "?");
}

TEST(Wrap, cuts_at_spaces) {
  EXPECT_THAT(wrap("one two three", 7), testing::ElementsAre("one two", "three"));
  EXPECT_THAT(wrap("one two three", 6), testing::ElementsAre("one", "two", "three"));
  EXPECT_THAT(wrap("a longer-than-the-line b", 6), testing::ElementsAre("a", "longer-than-the-line", "b"));
  EXPECT_THAT(wrap("one\ntwo", 20), testing::ElementsAre("one", "two"));
  EXPECT_THAT(wrap("", 20), testing::ElementsAre(""));
  EXPECT_THAT(wrap("äöü äöü", 7), testing::ElementsAre("äöü äöü"));
}

TEST(NameCell, has_nothing_that_a_terminal_would_obey) {
  EXPECT_EQ(name_cell("letters", 9, {}), "letters");
  EXPECT_EQ(name_cell("bücher", 9, {.utf8 = true}), "bücher");
  EXPECT_EQ(name_cell("bücher", 9, {}), "b?cher") << "one for the character, not for its bytes";
  EXPECT_EQ(name_cell("\x1b[31m\n\x7f", 9, {.utf8 = true}), "?[31m??");
}

TEST(NameCell, ends_in_an_ellipsis_where_it_is_too_long) {
  EXPECT_EQ(name_cell("123456789", 9, {}), "123456789");
  EXPECT_EQ(name_cell("1234567890", 9, {}), "12345678~");
  EXPECT_EQ(name_cell("äöüäöü", 4, {.utf8 = true}), "äöü…");
}

TEST(RightAligned, counts_characters) {
  EXPECT_EQ(right_aligned("äö", 4), "  äö");
  EXPECT_EQ(right_aligned("12345", 4), "12345");
}

TEST(IsUtf8Locale, follows_the_order_of_posix) {
  EXPECT_TRUE(is_utf8_locale(nullptr, nullptr, "en_US.UTF-8"));
  EXPECT_TRUE(is_utf8_locale("", "C.utf8", "C"));
  EXPECT_FALSE(is_utf8_locale("C", "C.utf8", "en_US.UTF-8"));
  EXPECT_FALSE(is_utf8_locale(nullptr, nullptr, nullptr));
}

TEST(DetectTerminal, finds_no_terminal_where_output_goes_to_a_file) {
  const int file = open("/dev/null", O_WRONLY | O_CLOEXEC);
  const Terminal terminal = detect_terminal(file);
  close(file);
  EXPECT_FALSE(terminal.live);
  EXPECT_EQ(terminal.style.columns, 100);
}

// What mpirun gives a rank: a pseudo-terminal, of 0 columns unless a person sits before it.
TEST(DetectTerminal, wants_a_width_before_it_believes_a_terminal) {
  const int outer = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(outer, 0);
  ASSERT_EQ(grantpt(outer), 0);
  ASSERT_EQ(unlockpt(outer), 0);
  const int inner = open(ptsname(outer), O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(inner, 0);
  ASSERT_EQ(setenv("TERM", "xterm", 1), 0);
  EXPECT_FALSE(detect_terminal(inner).live);
  winsize size{};
  size.ws_col = 72;
  ASSERT_EQ(ioctl(outer, TIOCSWINSZ, &size), 0);
  EXPECT_TRUE(detect_terminal(inner).live);
  EXPECT_EQ(detect_terminal(inner).style.columns, 72);
  ASSERT_EQ(setenv("TERM", "dumb", 1), 0);
  EXPECT_FALSE(detect_terminal(inner).live);
  close(inner);
  close(outer);
}

TEST(StartTable, aligns_keys_and_values) {
  const StartTable table = {
      {{"data",
        {{"samples", "55,000 train, 5,000 validation, 10,000 test"}, {"shape", "1 x 28 x 28, 10 classes"}}},
       {"layout", {{"ranks", "4 on 2 nodes"}, {"experts per rank", "2 2 1 0"}}},
       {"nothing", {}},
       {"build", {{"", "switchyard 0.1.0"}}}},
      {"4 ranks of 2 threads on 2 processors: expect less than half the speed"}};
  EXPECT_EQ(start_table(table, {}),
            "data     samples           55,000 train, 5,000 validation, 10,000 test\n"
            "         shape             1 x 28 x 28, 10 classes\n"
            "layout   ranks             4 on 2 nodes\n"
            "         experts per rank  2 2 1 0\n"
            "build                      switchyard 0.1.0\n"
            "warning: 4 ranks of 2 threads on 2 processors: expect less than half the speed\n");
}

TEST(StartTable, hangs_long_values_below_their_first_line) {
  const StartTable table = {{{"model", {{"gate", "conv(32, 3) relu pool dense(10)"}, {"expert", "a\nb"}}}},
                            {"eight words of warning that need two lines"}};
  EXPECT_EQ(start_table(table, {.columns = 38}),
            "model  gate    conv(32, 3) relu pool\n"
            "               dense(10)\n"
            "       expert  a\n"
            "               b\n"
            "warning: eight words of warning that\n"
            "         need two lines\n");
}

TEST(EvaluationLine, says_what_the_experts_do) {
  EXPECT_EQ(evaluation_line("epoch 3", "validation", test::sample_statistics()),
            "epoch 3: validation error 0.1000, loss 0.2500, H_s 0.21, H_u 1.59, I(E;Y) 1.34 bits, largest "
            "expert 45%, dead 3");
  EXPECT_EQ(
      evaluation_line("epoch 20", "test", test::statistics_of({{8, 0}, {0, 8}})),
      "epoch 20: test error 0.0000, loss 0.0000, H_s 0.00, H_u 1.00, I(E;Y) 1.00 bits, largest expert 50%, "
      "dead none");
}

TEST(EvaluationLine, says_it_of_every_layer) {
  EXPECT_EQ(
      evaluation_line("step 40", "validation", test::text_statistics()),
      "step 40: validation loss 0.3466 nats, 0.5000 bits a byte, error 0.2500; blocks/00/mixture: H_s 1.25, "
      "H_u 1.36, largest expert 50%, dead none; blocks/01/mixture: H_s 1.25, H_u 1.00, largest expert 50%, "
      "dead 2");
}

TEST(DeadExpertsText, lists_a_few_and_counts_many) {
  EXPECT_EQ(dead_experts_text(test::statistics_of({{9, 0, 0, 0, 0, 0}}).routing()), "1, 2, 3, 4, 5");
  EXPECT_EQ(dead_experts_text(test::statistics_of({{9, 0, 0, 0, 0, 0, 0}}).routing()), "6 of 7");
}

}  // namespace
}  // namespace switchyard::console
