#include "report/text.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace switchyard::report {
namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

TEST(Escape, leaves_no_mark_that_html_or_xml_reads) {
  EXPECT_EQ(escape("a<b> & \"c\" 'd'"), "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
  EXPECT_EQ(escape("<script>"), "&lt;script&gt;");
  EXPECT_EQ(escape(""), "");
}

TEST(Escape, keeps_text_of_any_language_and_replaces_what_is_no_text) {
  EXPECT_EQ(escape("± log₂ 學 🚂\n\t"), "± log₂ 學 🚂\n\t");
  EXPECT_EQ(escape(std::string_view("a\0b\x1b\x7f", 5)), "a\uFFFDb\uFFFD\uFFFD");
  EXPECT_EQ(escape("\xff\xc3"), "\uFFFD\uFFFD") << "a byte that never occurs, a character cut off";
  EXPECT_EQ(escape("\xc0\xbc"), "\uFFFD\uFFFD") << "an overlong <";
  EXPECT_EQ(escape("\xe0\x80\xbc"), "\uFFFD\uFFFD\uFFFD") << "a longer one";
  EXPECT_EQ(escape("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD") << "a surrogate";
  EXPECT_EQ(escape("\xef\xbf\xbf"), "\uFFFD\uFFFD\uFFFD") << "U+FFFF, which XML forbids";
}

TEST(LinkText, encodes_all_but_plain_characters) {
  EXPECT_EQ(link_text("runs/a-b_c.d~/1"), "runs/a-b_c.d~/1");
  EXPECT_EQ(link_text("a b#c?d%\"é"), "a%20b%23c%3Fd%25%22%C3%A9");
  EXPECT_EQ(link_text("javascript:x"), "javascript%3Ax");
}

TEST(NumberText, has_about_four_digits) {
  EXPECT_EQ(number_text(0.40763), "0.4076");
  EXPECT_EQ(number_text(2.0347), "2.035");
  EXPECT_EQ(number_text(12.345), "12.35");
  EXPECT_EQ(number_text(123.456), "123.5");
  EXPECT_EQ(number_text(36527.4), "36,527");
  EXPECT_EQ(number_text(-1234567), "-1,234,567");
  EXPECT_EQ(number_text(999), "999");
  EXPECT_EQ(number_text(0), "0");
  EXPECT_EQ(number_text(0.00001234), "1.23e-05");
  EXPECT_EQ(number_text(1e20), "1e+20");
  EXPECT_EQ(number_text(0.11263, NumberStyle::percent), "11.26%");
  EXPECT_EQ(number_text(not_a_number), "–");
  EXPECT_EQ(number_text(-std::numeric_limits<double>::infinity(), NumberStyle::percent), "–");
}

TEST(TickText, has_the_decimals_that_the_step_needs) {
  EXPECT_EQ(tick_text(0.5, 0.25), "0.50");
  EXPECT_EQ(tick_text(2, 0.5), "2.0");
  EXPECT_EQ(tick_text(20, 10), "20");
  EXPECT_EQ(tick_text(0, 0.2), "0.0");
  EXPECT_EQ(tick_text(-1e-17, 0.2), "0.0");
  EXPECT_EQ(tick_text(2000, 500), "2000");
  EXPECT_EQ(tick_text(12000, 2000), "12k");
  EXPECT_EQ(tick_text(12500, 500), "12.5k");
  EXPECT_EQ(tick_text(3e6, 1e6), "3M");
  EXPECT_EQ(tick_text(0.05, 0.05, NumberStyle::percent), "5%");
  EXPECT_EQ(tick_text(0.105, 0.005, NumberStyle::percent), "10.5%");
  EXPECT_EQ(tick_text(2e-6, 1e-6), "2e-06");
}

TEST(DataElement, holds_the_number_as_it_is) {
  EXPECT_EQ(data_element(0.11259999999999999, NumberStyle::percent, "test.error"),
            "<data id=\"test.error\" value=\"0.11259999999999999\">11.26%</data>");
  EXPECT_EQ(data_element(not_a_number, NumberStyle::plain, "x"), "–");
}

}  // namespace
}  // namespace switchyard::report
