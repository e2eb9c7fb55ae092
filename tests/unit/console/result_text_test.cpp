#include "console/result_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "support/sample_statistics.hpp"

namespace switchyard::console {
namespace {

using testing::HasSubstr;
using testing::Not;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// `classes` x `experts`, class c on expert c mod experts.
moe::RoutingStatistics large_statistics(index_t classes, index_t experts) {
  std::vector<std::vector<std::int64_t>> table(static_cast<std::size_t>(classes),
                                               std::vector<std::int64_t>(static_cast<std::size_t>(experts), 0));
  for (std::size_t c = 0; c < table.size(); ++c) table[c][c % table[c].size()] = 100;
  return test::statistics_of(table).routing();
}

TEST(ResultText, is_the_whole_result) {
  const moe::Statistics test = test::sample_statistics();
  const moe::Statistics validation = test::statistics_of({{8, 0, 0, 0}, {0, 8, 0, 0}, {0, 0, 0, 0}});
  EXPECT_EQ(
      result_text({&validation, &test, 0.0}, {}),
      "result                test  validation\n"
      "  error             0.1000      0.0000\n"
      "  loss              0.2500      0.0000\n"
      "  H_s                0.210       0.000  bits, softmax of a sample over all experts; low is decided\n"
      "  H_u                1.588       1.000  bits, usage of the experts; at most 2.00\n"
      "  I(E;Y)             1.335       1.000  bits, expert and predicted class\n"
      "  I(E;Y) true        1.335       1.000  bits, expert and true class\n"
      "\n"
      "experts on test\n"
      "  expert   share  importance\n"
      "       0   45.0%       43.0%  ########################################\n"
      "       1   30.0%       31.0%  ###########################\n"
      "       2   25.0%       25.5%  ######################\n"
      "       3    0.0%        0.5%\n"
      "\n"
      "class by expert on test: % of a class's samples that go to each expert (. is none)\n"
      "  class  samples   0   1   2   3\n"
      "      0      400 100   .   .   .\n"
      "      1      301   . 100   0   .\n"
      "      2      299  17   .  83   .\n"
      "\n"
      "warning: dead experts: 3 (chosen for less than 1 sample in 1000 of test); try the importance\n"
      "         regulariser (--moe.importance=0.2; it is 0), fewer experts (moe.experts) or another seed\n"
      "         (run.seed)\n");
}

TEST(ResultText, has_the_tables_of_every_layer) {
  const moe::Statistics test = test::text_statistics();
  EXPECT_EQ(
      result_text({nullptr, &test, std::nullopt}, {}),
      "result                test\n"
      "  error             0.2500  share of bytes that were not the most probable\n"
      "  loss              0.3466  nats a byte\n"
      "  perplexity          1.41  exp(loss), of a byte\n"
      "  bits              0.5000  a byte\n"
      "blocks/00/mixture\n"
      "  H_s                1.250  bits, softmax of a token over all experts; low is decided\n"
      "  H_u                1.361  bits, usage of the experts; at most 1.58\n"
      "blocks/01/mixture\n"
      "  H_s                1.250  bits, softmax of a token over all experts; low is decided\n"
      "  H_u                1.000  bits, usage of the experts; at most 1.58\n"
      "\n"
      "experts on test of blocks/00/mixture\n"
      "  expert   share  importance\n"
      "       0   40.0%       40.0%  ################################\n"
      "       1   10.0%       10.0%  ########\n"
      "       2   50.0%       50.0%  ########################################\n"
      "\n"
      "domain by expert on test of blocks/00/mixture: % of a domain's tokens that go to each expert (. is "
      "none)\n"
      "   domain   tokens   0   1   2\n"
      "     code      600  67  17  17\n"
      "  letters      400   .   . 100\n"
      "\n"
      "experts on test of blocks/01/mixture\n"
      "  expert   share  importance\n"
      "       0   50.0%       50.0%  ########################################\n"
      "       1   50.0%       50.0%  ########################################\n"
      "       2    0.0%        0.0%\n"
      "\n"
      "domain by expert on test of blocks/01/mixture: % of a domain's tokens that go to each expert (. is "
      "none)\n"
      "   domain   tokens   0   1   2\n"
      "     code      600  50  50   .\n"
      "  letters      400  50  50   .\n"
      "\n"
      "warning: dead experts: 2 (chosen for less than 1 token in 1000 of test of blocks/01/mixture); try\n"
      "         fewer experts (moe.experts) or another seed (run.seed)\n");
}

TEST(ResultText, has_classes_and_clusters_by_name) {
  moe::Statistics test({{"", moe::RoutingStatistics(2, {.classes = 3, .groups = 2})}});
  test.samples() = test.routing().rows() = 10;
  test.routing().by_label(0, 0) = 4;
  test.routing().by_label(1, 0) = 3;
  test.routing().by_label(2, 1) = 3;
  test.routing().by_group(0, 0) = test.routing().by_group(1, 1) = 5;
  test.names = std::make_shared<const moe::Statistics::Names>(
      moe::Statistics::Names{{"upright", "rotated"}, {"aeroplane", "frog"}});
  EXPECT_THAT(
      result_text({nullptr, &test, 0}, {}),
      HasSubstr("class by expert on test: % of a class's samples that go to each expert (. is none)\n"
                "    class  samples   0   1\n"
                "  upright        4 100   .\n"
                "  rotated        3 100   .\n"
                "        2        3   . 100\n"
                "\n"
                "cluster by expert on test: % of a cluster's samples that go to each expert (. is none)\n"
                "    cluster  samples   0   1\n"
                "  aeroplane        5 100   .\n"
                "       frog        5   . 100\n"));
}

TEST(DomainTable, shows_any_name) {
  const moe::Statistics test = test::text_statistics();
  const std::vector<std::string> names = {"bücher", "\x1b[31m of more than twenty-four characters"};
  const std::string text = group_table(test.layers[0].routing, names, "test", {.columns = 60, .utf8 = true});
  EXPECT_THAT(text, HasSubstr("\n                    bücher      600  67"));
  EXPECT_THAT(text, HasSubstr("\n  ?[31m of more than twen…      400   ."));
}

TEST(ResultText, shows_what_was_evaluated) {
  const moe::Statistics validation = test::statistics_of({{8, 0}, {0, 8}});
  const moe::Statistics nothing({{"", moe::RoutingStatistics(2, {2})}});
  EXPECT_EQ(result_text({}, {}), "");
  EXPECT_EQ(result_text({&nothing, &nothing, 0}, {}), "");
  for (const moe::Statistics* test : {static_cast<const moe::Statistics*>(nullptr), &nothing}) {
    const std::string text = result_text({&validation, test, 0}, {});
    EXPECT_THAT(text, HasSubstr("result          validation\n"));
    EXPECT_THAT(text, HasSubstr("experts on validation\n"));
    EXPECT_THAT(text, Not(HasSubstr("warning")));
    EXPECT_THAT(text, Not(HasSubstr("test")));
  }
}

TEST(ResultText, of_a_single_expert_has_no_tables_of_experts) {
  moe::Statistics test = test::statistics_of({{30}, {10}});
  test.errors() = 4;
  test.likelihood_loss_sum = 10;
  EXPECT_EQ(result_text({nullptr, &test, 0.0}, {}),
            "result                test\n"
            "  error             0.1000\n"
            "  loss              0.2500\n");
}

TEST(UsageBars, use_eighths_of_a_column_where_the_characters_exist) {
  const moe::Statistics statistics = test::statistics_of({{800, 390, 10, 1}});
  const std::vector<std::string> lines =
      lines_of(usage_bars(statistics.routing(), "test", {.columns = 45, .utf8 = true}));
  ASSERT_EQ(lines.size(), 6U);
  EXPECT_EQ(lines[2], "       0   66.6%       66.6%  ████████████████");
  EXPECT_EQ(lines[3], "       1   32.5%       32.5%  ███████▊");
  EXPECT_EQ(lines[4], "       2    0.8%        0.8%  ▎");
  EXPECT_EQ(lines[5], "       3    0.1%        0.1%");
}

TEST(UsageBars, end_after_64_experts_with_a_note) {
  EXPECT_THAT(usage_bars(large_statistics(64, 64), "test", {}), Not(HasSubstr("metrics.jsonl")));
  EXPECT_THAT(usage_bars(large_statistics(65, 65), "test", {}),
              HasSubstr("\n  (more in summary.json, expert_share: expert 64)\n"));
  EXPECT_THAT(usage_bars(large_statistics(80, 80), "test", {}),
              HasSubstr("\n  (more in summary.json, expert_share: experts 64 to 79)\n"));
}

TEST(ClassTable, folds_experts_that_do_not_fit) {
  EXPECT_EQ(class_table(test::statistics_of({{1, 2, 3, 4, 0}, {0, 0, 0, 0, 0}}).routing(), {}, "test",
                        {.columns = 24}),
            "class by expert on test: % of a class's samples that go to each expert (. is none)\n"
            "  class  samples   0   1\n"
            "      0       10  10  20\n"
            "      1        0   .   .\n"
            "  class  samples   2   3\n"
            "      0       10  30  40\n"
            "      1        0   .   .\n"
            "  class  samples   4\n"
            "      0       10   .\n"
            "      1        0   .\n");
}

TEST(ClassTable, stays_readable_with_64_experts_and_more) {
  for (const index_t experts : {64, 200}) {
    const std::string text = class_table(large_statistics(100, experts), {}, "test", {});
    for (const std::string& line : lines_of(text)) EXPECT_LE(line.size(), 100U) << line;
    EXPECT_THAT(
        text, HasSubstr("  class  samples  48  49  50  51  52  53  54  55  56  57  58  59  60  61  62  63\n"));
    // A title, 4 blocks of a head and 20 classes, a note.
    EXPECT_EQ(lines_of(text).size(), 1U + 4U * 21U + 1U);
  }
  EXPECT_THAT(class_table(large_statistics(100, 64), {}, "test", {}),
              HasSubstr("\n  (more in summary.json, class_by_expert: classes 20 to 99)\n"));
  EXPECT_THAT(
      class_table(large_statistics(100, 200), {}, "test", {}),
      HasSubstr("\n  (more in summary.json, class_by_expert: experts 64 to 199 and classes 20 to 99)\n"));
}

TEST(DeadExpertWarning, raises_a_weight_that_is_set) {
  const moe::Statistics statistics = test::sample_statistics();
  EXPECT_THAT(
      dead_expert_warning(statistics.routing(), "validation", 0.2, {.columns = 500}),
      HasSubstr(
          "of validation); try a larger importance regulariser (--moe.importance=0.4; it is 0.2), fewer"));
  EXPECT_EQ(dead_expert_warning(test::statistics_of({{8, 0}, {0, 8}}).routing(), "test", 0, {}), "");
}

TEST(DeadExpertWarning, advises_no_regulariser_where_the_gate_cannot_learn) {
  EXPECT_EQ(dead_expert_warning(test::sample_statistics().routing(), "test", std::nullopt, {.columns = 500}),
            "warning: dead experts: 3 (chosen for less than 1 sample in 1000 of test); try fewer experts "
            "(moe.experts) or another seed (run.seed)\n");
}

}  // namespace
}  // namespace switchyard::console
