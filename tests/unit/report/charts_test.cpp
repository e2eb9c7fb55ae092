// Every kind of picture: well formed, with what it must show, for good and for hostile input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "report/charts.hpp"
#include "unit/report/markup.hpp"

namespace switchyard::report {
namespace {

using test::count_of;
using test::why_malformed;
using testing::HasSubstr;

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
const std::string hostile = "\"><script>&'\x01";

void expect_whole(const Figure& figure) {
  EXPECT_EQ(why_malformed(figure.svg), "");
  EXPECT_THAT(figure.svg, HasSubstr("role=\"img\" aria-label=\""));
  EXPECT_EQ(figure.svg.find("nan"), std::string::npos);
  EXPECT_EQ(figure.svg.find("inf"), std::string::npos);
  EXPECT_EQ(figure_html(figure).find("<script"), std::string::npos);
}

void expect_empty(const Figure& figure) {
  EXPECT_EQ(figure.svg, "");
  EXPECT_NE(figure.note, "") << "it must say that there is nothing";
}

TEST(LineChart, shows_curves_bands_marks_and_the_reference) {
  LineChart chart;
  chart.title = hostile;
  chart.x_label = "step";
  chart.y_label = "bits " + hostile;
  chart.curves.push_back(
      {"a " + hostile, {{1, 2}, {2, not_a_number}, {3, 1}, {4, 1}}, 0, Stroke::dashed, true, {}});
  chart.curves.push_back({"b", {{1, 1}, {4, 2}}, 1, Stroke::dotted, false, {{1, 0, 2}, {4, 1, 3}}});
  chart.mark_name = "published";
  chart.marks = {{{2, 1.5}, 0.25}, {{3, 1.25}, std::nullopt}};
  chart.reference = ReferenceLine{2.3, "log2 5"};
  const Figure figure = draw(chart);
  expect_whole(figure);
  EXPECT_EQ(count_of(figure.svg, "<circle"), 3U) << "the NaN has no dot";
  EXPECT_EQ(count_of(figure.svg, "class=\"band c1\""), 1U);
  EXPECT_EQ(count_of(figure.svg, "class=\"published\""), 3U) << "two marks and a deviation";
  EXPECT_EQ(count_of(figure.svg, "class=\"reference\""), 1U);
  EXPECT_EQ(figure.legend.size(), 3U);
  EXPECT_THAT(figure.svg, HasSubstr(">step</text>"));
}

TEST(LineChart, a_gap_breaks_the_line) {
  EXPECT_EQ(path_data({{0, 0}, {1, 1}, {2, not_a_number}, {3, 3.126}, {4, -0.001}}), "M0 0L1 1M3 3.13L4 0");
}

TEST(LineChart, takes_a_single_point_and_says_if_there_is_none) {
  LineChart chart;
  chart.title = "t";
  expect_empty(draw(chart));
  chart.curves.push_back({"a", {{5, not_a_number}}, 0, Stroke::solid, false, {}});
  expect_empty(draw(chart));
  chart.curves.push_back({"a", {{5, 0}}, 0, Stroke::solid, false, {}});
  const Figure figure = draw(chart);
  expect_whole(figure);
  EXPECT_EQ(count_of(figure.svg, "<circle"), 1U) << "a lone point has no line that would show it";
}

TEST(StackedChart, areas_add_up_and_bars_have_no_zeros) {
  StackedChart chart;
  chart.title = hostile;
  chart.names = {"one", hostile, "three"};
  chart.x_label = "epoch";
  expect_empty(draw(chart));
  chart.rows = {{1, {0.2, 0.8, 0}, 1, 1}, {2, {0.1, not_a_number, 0.5}, 2, 2}};
  const Figure areas = draw(chart);
  expect_whole(areas);
  EXPECT_EQ(count_of(areas.svg, "<path"), 3U);
  chart.form = StackForm::bars;
  const Figure bars = draw(chart);
  expect_whole(bars);
  EXPECT_EQ(count_of(bars.svg, "<rect"), 4U);
  chart.rows.resize(1);
  expect_whole(draw(chart));
  chart.form = StackForm::area;
  expect_whole(draw(chart));
}

TEST(BarChart, has_a_bar_per_row_and_series) {
  BarChart chart;
  chart.title = "usage";
  chart.x_label = "share";
  expect_empty(draw(chart));
  chart.row_names = {"0", hostile};
  chart.series = {{"share", {0.5, 0.5}}, {"importance", {0, not_a_number}}};
  const Figure figure = draw(chart);
  expect_whole(figure);
  EXPECT_EQ(count_of(figure.svg, "<rect"), 3U);
  EXPECT_THAT(figure.svg, HasSubstr("<title>0, share: 50.00%</title>"));
}

TEST(HeatMap, colours_by_share_of_the_row_and_writes_counts) {
  HeatMap map{"classes", "true class", "expert", {{30, 10}, {0, 0}}, ""};
  const Figure figure = draw(map);
  expect_whole(figure);
  EXPECT_THAT(figure.svg, HasSubstr("fill-opacity=\"0.333\""));
  EXPECT_THAT(figure.note, HasSubstr("strongest is 75.00%"));
  EXPECT_THAT(figure.svg, HasSubstr("true class 0, expert 1: 10, 25.00% of the row"));
  EXPECT_THAT(figure.svg, HasSubstr(">30</text>"));
  EXPECT_EQ(figure.width, FigureWidth::half);
}

TEST(HeatMap, names_its_rows_and_cuts_long_names) {
  HeatMap map{"domains", "domain", "expert", {{3, 1}, {0, 2}}, ""};
  map.row_names = {hostile, "a name of more than eighteen characters"};
  const Figure figure = draw(map);
  expect_whole(figure);
  EXPECT_THAT(figure.svg, HasSubstr(">a name of more th…</text>"));
  EXPECT_THAT(figure.svg,
              HasSubstr("domain a name of more than eighteen characters, expert 1: 2, 100.00% of the row"));
}

TEST(HeatMap, of_thousands_of_cells_is_small) {
  HeatMap map{"classes", "true class", "expert", std::vector(1000, std::vector<std::int64_t>(1000, 1)), ""};
  map.counts[3][200] = 8;
  const Figure figure = draw(map);
  EXPECT_LT(figure.svg.size(), 900'000U);
  EXPECT_THAT(figure.svg, HasSubstr("true class 3: most, 8 of 1007, expert 200"));
  EXPECT_THAT(figure.svg, Not(HasSubstr("true class 100:")));
  EXPECT_THAT(figure.note, HasSubstr("The first 100 of 1000 rows. The first 256 of 1000 columns."));
}

TEST(HeatMap, of_many_experts_is_wide_and_leaves_out_what_does_not_fit) {
  HeatMap map{"classes", "true class", "expert", {}, ""};
  expect_empty(draw(map));
  map.counts.assign(50, std::vector<std::int64_t>(200, 12345));
  const Figure figure = draw(map);
  expect_whole(figure);
  EXPECT_EQ(figure.width, FigureWidth::whole);
  EXPECT_EQ(count_of(figure.svg, "class=\"count"), 0U);
  EXPECT_LT(count_of(figure.svg, "class=\"tick middle\""), 60U);
}

TEST(BoxPlot, shows_every_run_and_the_published_value) {
  BoxPlot plot{hostile, "test.error", NumberStyle::percent, {}};
  expect_empty(draw(plot));
  plot.rows = {{"a", {0.1, 0.2, 0.3}, {"seed 1", "seed 2", "seed 3"}, 0.15},
               {hostile, {0.4}, {}, std::nullopt},
               {"no run", {}, {}, std::nullopt}};
  const Figure figure = draw(plot);
  expect_whole(figure);
  EXPECT_EQ(count_of(figure.svg, "<circle"), 4U);
  EXPECT_EQ(count_of(figure.svg, "class=\"box"), 1U) << "one run is no box";
  EXPECT_EQ(count_of(figure.svg, "class=\"published\""), 1U);
  EXPECT_THAT(figure.svg, HasSubstr("<title>seed 2: 20.00%</title>"));
}

TEST(ForestPlot, shows_intervals_and_zero) {
  ForestPlot plot{"difference", "difference of error", NumberStyle::plain, {}, ""};
  expect_empty(draw(plot));
  plot.rows = {{hostile, 0.5, 0.25, 0.75}, {"no interval", 0.1, not_a_number, not_a_number}};
  const Figure figure = draw(plot);
  expect_whole(figure);
  EXPECT_EQ(count_of(figure.svg, "class=\"reference\""), 1U);
  EXPECT_EQ(count_of(figure.svg, "class=\"mean"), 2U);
  EXPECT_EQ(count_of(figure.svg, "class=\"interval\""), 3U);
}

TEST(Figure, legends_are_hidden_from_screen_readers_and_escaped) {
  const std::string html = figure_html({"t", {{hostile, 9, KeyShape::area}}, "", "", FigureWidth::half});
  EXPECT_THAT(html, HasSubstr("aria-hidden=\"true\""));
  EXPECT_THAT(html, HasSubstr("class=\"area c1\"")) << "colours repeat";
  EXPECT_EQ(why_malformed(html.substr(0, html.size() - 1)), "");
}

}  // namespace
}  // namespace switchyard::report
