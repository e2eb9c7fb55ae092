// What each expert took: shares, mixing, and samples.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/hash.hpp"
#include "report/charts.hpp"
#include "report/pages.hpp"
#include "report/picture.hpp"
#include "report/predictions.hpp"
#include "report/run_sections.hpp"
#include "support/temporary_directory.hpp"
#include "unit/report/fixtures.hpp"
#include "unit/report/markup.hpp"

namespace switchyard::report {
namespace {

using test::count_of;
using test::write_file;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

RunData run_with(std::string_view metrics) {
  const test::TemporaryDirectory folder;
  write_file(folder.path() / "metrics.jsonl", metrics);
  return read_run(folder.path());
}

std::string dense_step(int step) {
  return fmt::format(R"({{"kind":"step","step":{},"samples":8,"load":[8,8],"importance":[6,2]}})"
                     "\n",
                     step);
}

TEST(Shares, of_a_dense_gate_are_of_its_weights) {
  const RunData run = run_with(dense_step(1) + dense_step(2));
  EXPECT_TRUE(run.steps.is_dense());
  const std::string svg = share_figures(run).at(0).svg;
  EXPECT_THAT(svg, HasSubstr("gate weights"));
  EXPECT_THAT(svg, HasSubstr("<title>expert 0: 75.00% at 2</title>"));
}

TEST(Shares, of_evaluations_of_a_dense_gate_show_both_kinds) {
  const RunData run = run_with(
      dense_step(1) +
      R"({"kind":"evaluation","split":"validation","step":1,"expert_share":[1,0],"importance_share":[0.625,0.375]})");
  const std::vector<Figure> figures = share_figures(run);
  ASSERT_EQ(figures.size(), 3U);
  EXPECT_THAT(figures[0].svg, HasSubstr("<title>expert 0: 62.50% at"));
  EXPECT_EQ(figures[2].title, "Share of the experts, by largest weight");
  EXPECT_THAT(figures[2].svg, HasSubstr("<title>expert 0: 100.00% at"));
}

TEST(Shares, of_a_gate_that_chooses_are_of_samples) {
  const RunData run = run_with(R"({"kind":"step","step":1,"samples":8,"load":[4,4],"importance":[6,2]})"
                               "\n");
  EXPECT_FALSE(run.steps.is_dense()) << "equal loads, but not all samples";
  EXPECT_THAT(share_figures(run).at(0).svg, HasSubstr("<title>expert 0: 50.00% at"));
}

TEST(Shares, of_many_experts_are_a_map_of_them_all) {
  std::string load;
  for (int e = 0; e < 12; ++e) load += fmt::format("{}{}", e == 0 ? "" : ",", e == 3 ? 40 : 5);
  std::string metrics;
  for (int step = 1; step <= 90; ++step)
    metrics += fmt::format(R"({{"kind":"step","step":{},"samples":95,"load":[{}]}})"
                           "\n",
                           step, load);
  const RunData run = run_with(metrics);
  const std::vector<Figure> figures = share_figures(run);
  const auto map = std::ranges::find(figures, "Share of the experts, all of them", &Figure::title);
  ASSERT_NE(map, figures.end());
  EXPECT_EQ(test::why_malformed(map->svg), "");
  EXPECT_EQ(count_of(map->svg, "class=\"row\""), 12U);
  EXPECT_EQ(count_of(map->svg, "class=\"level\""), 2U) << "5 of 95 and 40 of 95";
  EXPECT_THAT(map->svg, HasSubstr("<title>expert 3: 42.11% at 2, 42.11% at 90; from 42.11% to 42.11%</title>"));
  EXPECT_THAT(map->note, HasSubstr("the strongest is 42.11%, an even share 8.33%. A column is the mean of 2"));
  EXPECT_LT(map->svg.size(), 40000U);
}

TEST(Mixing, is_the_exponential_of_the_entropy) {
  const RunData run = run_with(
      R"({"kind":"evaluation","split":"validation","step":1,"expert_share":[0.5,0.5],"importance_share":[0.75,0.25],)"
      R"("class_by_expert":[[10,10],[30,0],[0,10],[0,0]]})");
  const std::vector<Figure> figures = mixing_figures(run);
  ASSERT_EQ(figures.size(), 2U);
  EXPECT_THAT(figures[0].svg, HasSubstr("<title>0, validation, step 1: 2</title>")) << "half in each of two";
  EXPECT_THAT(figures[0].svg, HasSubstr("<title>1, validation, step 1: 1</title>")) << "all in one";
  EXPECT_EQ(count_of(figures[0].svg, "<title>"), 3U) << "the empty class has no bar";
  // exp(-(1/4 ln 1/4 + 3/4 ln 3/4)) = 4 / 3^(3/4)
  EXPECT_THAT(figures[1].svg,
              HasSubstr(fmt::format("<title>0, validation, step 1: {:.3f}</title>", 4 / std::pow(3, 0.75))));
  const std::string table = expert_table(run);
  EXPECT_THAT(table,
              HasSubstr("<td class=\"text\">1 (75%), 0 (25%)</td><td>40</td><td>66.67%</td><td>75.00%</td>"));
}

TEST(Mixing, needs_classes_and_several_experts) {
  EXPECT_THAT(mixing_figures(run_with("")), IsEmpty());
  EXPECT_EQ(
      expert_table(run_with(R"({"kind":"evaluation","split":"test","step":1,"class_by_expert":[[1],[2]]})")),
      "");
}

// Five samples: 0, 1, 2 and 4 are expert 0's, 3 is expert 1's.
Predictions few() {
  Predictions said;
  said.split = "test";
  said.ids = {10, 11, 12, 13, 14};
  said.labels = {0, 1, 1, 0, 2};
  said.predicted = {0, 1, 0, 0, 2};
  said.certainty = {0.5, 0.75, 0.625, 0.875, 1};
  said.slots = 2;
  said.experts = {0, 1, 1, 0, 0, 1, 0, 1, 0, 1};
  said.gate_weights = {0.75F, 0.25F, 0.375F, 0.625F, 0.5F, 0.5F, 0.25F, 0.75F, 1, 0};
  return said;
}

TEST(Samples, are_the_most_certain_and_the_most_contested_of_each_expert) {
  const std::vector<TakenSamples> taken = taken_samples(few(), 2);
  ASSERT_EQ(taken.size(), 2U);
  EXPECT_EQ(taken[0].expert, 0);
  EXPECT_EQ(taken[0].count, 4);
  EXPECT_EQ(taken[0].wrong, 1);
  EXPECT_THAT(taken[0].certain, ElementsAre(4, 0));
  EXPECT_THAT(taken[0].contested, ElementsAre(2, 1));
  EXPECT_THAT(taken[1].certain, ElementsAre(3)) << "one sample is in one list";
  EXPECT_THAT(taken[1].contested, IsEmpty());
}

TEST(Samples, of_equal_weights_go_by_the_certainty_of_the_prediction) {
  Predictions said = few();
  said.slots = 1;
  said.experts = {0, 0, 0, 0, 0};
  said.gate_weights = {1, 1, 1, 1, 1};
  const std::vector<TakenSamples> taken = taken_samples(said, 2);
  EXPECT_THAT(taken[0].certain, ElementsAre(4, 3));
  EXPECT_THAT(taken[0].contested, ElementsAre(0, 2));
}

TEST(Samples, are_tables_where_they_are_no_pictures) {
  const std::string html = run_samples(few());
  EXPECT_THAT(html, HasSubstr("Expert 0: 4 samples, 25.00% of them wrong"));
  EXPECT_THAT(
      html,
      HasSubstr(
          "<td class=\"text\">most certain</td><td>14</td><td>2</td><td>2</td><td>1</td><td>1</td><td>0 (1)</td>"));
  EXPECT_THAT(html, HasSubstr("<td><b class=\"wrong\">0</b></td>"));
  EXPECT_THAT(html, HasSubstr("true class 1, expert with the largest weight 0: 1,"))
      << "where the wrong one is";
  EXPECT_THAT(html, Not(HasSubstr("<img")));
}

TEST(Samples, are_called_as_the_data_call_them) {
  Predictions said = few();
  said.class_names = {"cat", "dog", "<i>"};
  said.cluster = [](index_t sample) { return sample == 2 ? "small & brown" : "large"; };
  const std::string table = run_samples(said);
  EXPECT_THAT(table, HasSubstr("<td>14</td><td>large</td><td>&lt;i&gt;</td><td>&lt;i&gt;</td>"));
  EXPECT_THAT(table, HasSubstr("<td>small &amp; brown</td><td>dog</td><td><b class=\"wrong\">cat</b></td>"));
  EXPECT_THAT(table, HasSubstr("true class dog, expert with the largest weight 0: 1,"));
  said.picture = [](index_t) { return Picture{1, 1, 1, {0}}; };
  const std::string pictures = run_samples(said);
  EXPECT_THAT(pictures, HasSubstr("small &amp; brown<br><b class=\"wrong\">dog → cat</b>"));
  EXPECT_THAT(pictures, HasSubstr("large<br><b>cat</b>"));
  EXPECT_THAT(pictures, HasSubstr("sample 12: label dog, cluster small &amp; brown, prediction cat"));
}

TEST(Samples, may_lack_labels_and_be_numbers) {
  Predictions said = few();
  said.labels.clear();
  said.certainty.clear();
  said.of_classes = false;
  said.predicted[4] = 2.5;
  const std::string html = run_samples(said);
  EXPECT_THAT(html, HasSubstr("<h3>Expert 0: 4 samples</h3>"));
  EXPECT_THAT(html, HasSubstr("<td>14</td><td>2.500</td><td>1</td>"));
  EXPECT_THAT(html, Not(HasSubstr("Wrong predictions")));
}

TEST(Samples, are_fewer_where_pictures_are_large) {
  Predictions said;
  said.split = "test";
  said.slots = 1;
  for (int n = 0; n < 600; ++n) {
    said.ids.push_back(n);
    said.experts.push_back(n % 30);
    said.gate_weights.push_back(1);
  }
  said.picture = [](index_t sample) {
    std::vector<float> noise;
    for (int i = 0; i < 3 * 48 * 48; ++i)
      noise.push_back(static_cast<float>(fnv1a(fmt::format("{} {}", sample, i)) % 1000));
    return picture_of(noise, 3, 48, 48);
  };
  const std::string html = run_samples(said);
  EXPECT_LT(html.size(), 1100000U);
  EXPECT_EQ(count_of(html, "<img"), 30U * 2 * 1);
}

TEST(Pictures, are_png_files) {
  const Picture grey = picture_of({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 20}, 1, 4, 4);
  EXPECT_EQ(grey.values.front(), 0);
  EXPECT_EQ(grey.values.back(), 255);
  EXPECT_EQ(grey.values[4], 51);
  const std::string png = png_of(grey);
  EXPECT_TRUE(png.starts_with("\x89PNG\r\n\x1A\n"));
  // Of the chunk that ends every PNG, with its checksum.
  EXPECT_TRUE(png.ends_with(std::string_view("\0\0\0\0IEND\xAE\x42\x60\x82", 12)));
}

TEST(Pictures, have_the_tones_that_are_asked_for) {
  const std::vector<float> numbers(16, 0.8F);
  EXPECT_EQ(picture_of(numbers, 1, 4, 4, Tones{0, 1}).values[0], 204);
  EXPECT_EQ(picture_of(numbers, 1, 4, 4, Tones{0, 0.5}).values[0], 255);
  EXPECT_EQ(picture_of(numbers, 1, 4, 4, Tones{1, 2}).values[0], 0);
}

TEST(Pictures, of_colours_lie_pixel_by_pixel) {
  std::vector<float> planes(3 * 16, 0);
  planes[0] = 1;       // red of the first pixel
  planes[2 * 16] = 1;  // blue
  EXPECT_THAT(picture_of(planes, 3, 4, 4).values, testing::Contains(255).Times(2));
  EXPECT_EQ(picture_of(planes, 3, 4, 4).values[2], 255);
}

TEST(Pictures, are_cut_to_a_side_by_means) {
  std::vector<float> numbers(100 * 100, 0);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = i % 100 < 50 ? 0 : 1;
  const Picture small = picture_of(numbers, 1, 100, 100, std::nullopt, 48);
  EXPECT_EQ(small.width, 33);
  EXPECT_EQ(small.values[0], 0);
  EXPECT_EQ(small.values[32], 255);
}

TEST(Pictures, are_not_made_of_what_is_none) {
  EXPECT_TRUE(picture_of({1, 2, 3}, 3, 1, 1).empty());
  EXPECT_TRUE(picture_of(std::vector<float>(32), 2, 4, 4).empty());
}

TEST(Base64, is_that_of_the_standard) {  // RFC 4648, section 10
  EXPECT_EQ(base64_of(""), "");
  EXPECT_EQ(base64_of("f"), "Zg==");
  EXPECT_EQ(base64_of("fo"), "Zm8=");
  EXPECT_EQ(base64_of("foo"), "Zm9v");
  EXPECT_EQ(base64_of("foobar"), "Zm9vYmFy");
}

}  // namespace
}  // namespace switchyard::report
