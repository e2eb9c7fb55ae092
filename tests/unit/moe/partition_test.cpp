#include "moe/routers/partition.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/config_error.hpp"

namespace switchyard::moe {
namespace {

using test::config_error_of;
using testing::ElementsAre;
using testing::HasSubstr;

std::string error_of(std::string_view text, std::int64_t experts) {
  return config_error_of([&] { parse_partition(text, experts); });
}

TEST(Partition, gives_every_expert_its_labels) {
  EXPECT_THAT(parse_partition("0 7 | 1 9 | 2", 3),
              ElementsAre(ElementsAre(0, 7), ElementsAre(1, 9), ElementsAre(2)));
  EXPECT_THAT(parse_partition("3", 1), ElementsAre(ElementsAre(3)));
}

TEST(Partition, keeps_the_order_and_needs_no_spaces_around_the_bars) {
  EXPECT_THAT(parse_partition("  9\t1|0", 2), ElementsAre(ElementsAre(9, 1), ElementsAre(0)));
  EXPECT_THAT(parse_partition("2147483647|0 ", 2), ElementsAre(ElementsAre(2147483647), ElementsAre(0)));
}

TEST(Partition, gives_every_expert_a_label) {
  EXPECT_EQ(error_of("", 1),
            "moe.partition = '' gives expert 0 no label; write the labels of every expert, such as: 0 7 | 1 9");
  EXPECT_EQ(error_of("0 | | 1", 3),
            "moe.partition = '0 | | 1' gives expert 1 no label; write the labels of every expert, such as: 0 7 "
            "| 1 9");
  EXPECT_THAT(error_of("|0", 2), HasSubstr("gives expert 0 no label"));
  EXPECT_THAT(error_of("0 1 |", 2), HasSubstr("gives expert 1 no label"));
}

TEST(Partition, has_whole_numbers_for_labels) {
  for (const std::string word : {"a", "-1", "1.5", "1,2", "0x1", "2147483648", "99999999999999999999", "+1"}) {
    EXPECT_EQ(error_of("0 " + word + " | 3", 2), "moe.partition = '0 " + word + " | 3' has '" + word +
                                                     "' for a label; labels are whole numbers from 0");
  }
}

TEST(Partition, gives_a_label_to_one_expert) {
  EXPECT_EQ(error_of("0 7 | 1 7", 2),
            "moe.partition = '0 7 | 1 7' gives label 7 twice (a label has one expert); remove one of them");
  EXPECT_THAT(error_of("4 4", 1), HasSubstr("gives label 4 twice"));
}

TEST(Partition, has_as_many_groups_as_there_are_experts) {
  EXPECT_EQ(
      error_of("0 7 | 1 9", 3),
      "moe.partition = '0 7 | 1 9' has 2 groups for moe.experts = 3; write one group for each expert, with | "
      "between");
  EXPECT_THAT(error_of("0 | 1", 1), HasSubstr("has 2 groups for moe.experts = 1"));
}

}  // namespace
}  // namespace switchyard::moe
