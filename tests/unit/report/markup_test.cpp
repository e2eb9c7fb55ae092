// The checker of the tests finds planted faults.
#include "unit/report/markup.hpp"

#include <gtest/gtest.h>

namespace switchyard::test {
namespace {

TEST(WhyMalformed, accepts_what_is_well_formed) {
  EXPECT_EQ(
      why_malformed(R"(<svg xmlns="x" a-b="1"><g><rect x="1"/></g><text>a &amp; &lt;b&gt; ü</text></svg>)"),
      "");
}

TEST(WhyMalformed, finds_every_kind_of_fault) {
  for (const char* fault : {"", "text", "<a>", "<a></b>", "<a><b></a></b>", "<a/><b/>", "<a/>text", "<a x=1/>",
                            "<a x=\"1\" x=\"2\"/>", "<a>x & y</a>", "<a>&nbsp;</a>", "<a x=\"&\"/>",
                            "<a x=\"<\"/>", "<a", "</a>", "<1/>", "<a x/>"}) {
    EXPECT_NE(why_malformed(fault), "") << fault;
  }
}

TEST(Pictures, are_cut_out_of_a_page) {
  EXPECT_EQ(pictures("<p><svg>1</svg> <svg a>2</svg><svg>").size(), 2U);
  EXPECT_EQ(pictures("<p><svg a>2</svg></p>").front(), "<svg a>2</svg>");
}

}  // namespace
}  // namespace switchyard::test
