// The kinds of picture. Each is filled with names and numbers, and draw() makes a figure of it: one that says
// so where there is nothing to show.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "report/binned_rows.hpp"
#include "report/figure.hpp"
#include "report/frame.hpp"

namespace switchyard::report {

// Horizontal bars: a group per row, a bar per series.
struct BarSeries {
  std::string name;
  std::vector<double> values;  // per row, not negative
};
struct BarChart {
  std::string title;
  std::string x_label;
  NumberStyle style = NumberStyle::percent;
  std::vector<std::string> row_names;
  std::vector<BarSeries> series;
  std::string note;
};
Figure draw(const BarChart& chart);

// A table of counts in colours. Columns are numbered from 0, and so are rows without names. A cell's colour is
// its share of its row, from none to the largest share of the map: a row that is one dark cell is a class that
// one expert took. The count is written in the cell where it fits, and is in the tooltip anyway.
struct HeatMap {
  std::string title;
  std::string row_label;  // "true class"
  std::string column_label;
  std::vector<std::vector<std::int64_t>> counts;  // [rows][columns], all rows of one length
  std::string note;
  std::vector<std::string> row_names = {};  // as many as there are rows, or none
};
Figure draw(const HeatMap& map);

// Curves over steps or epochs.
struct Band {
  double x = 0;
  double low = 0;
  double high = 0;
};
struct Curve {
  std::string name;
  std::vector<Point> points;  // none: the curve is left out; a y that is no number leaves a gap
  std::size_t colour = 0;
  Stroke stroke = Stroke::solid;
  bool dots = false;  // at every point, with its value as a tooltip
  std::vector<Band> band;
};
// The mean of the runs at up to 200 places from the first x to the last, with a band from the smallest to the
// largest. Each run is a line between its points, and counts only where it has any: behind the end of a run
// that stopped early, the others go on. Points are in the order of x.
Curve mean_curve(const std::vector<std::vector<Point>>& runs, std::string name, std::size_t colour);

// A value from elsewhere, drawn over the curves.
struct Mark {
  Point at;
  std::optional<double> deviation;
};
struct ReferenceLine {
  double value = 0;
  std::string label;
};
struct LineChart {
  std::string title;
  std::string x_label;
  std::string y_label;
  NumberStyle y_style = NumberStyle::plain;
  std::vector<Curve> curves;
  std::string mark_name;
  std::vector<Mark> marks;
  std::optional<ReferenceLine> reference;
  std::optional<Range> y_range;  // unset: value_range()
  std::string note;
  FigureWidth width = FigureWidth::half;
};
// The y values that the chart has to show: from 0 (or the smallest value, if negative) to the largest.
Range value_range(const LineChart& chart);
Figure draw(LineChart chart);

// Parts of a whole over steps or epochs: as areas between neighbouring rows, or as one bar per row, from its
// first record to its last.
enum class StackForm { area, bars };
struct StackedChart {
  std::string title;
  std::string x_label;
  std::string y_label;
  NumberStyle y_style = NumberStyle::plain;
  StackForm form = StackForm::area;
  std::vector<std::string> names;     // the first lies at the bottom
  std::vector<BinnedRows::Row> rows;  // in the order of x, with as many values as there are names
  bool whole_is_one = false;          // shares: the axis ends at 1
  std::string note;
};
Figure draw(const StackedChart& chart);

// Shares of many parts over steps, a row for each part, in ten strengths of one colour up to the largest share:
// what areas cannot show. At most 60 columns, means of neighbouring ones, and 256 rows.
struct ShareMap {
  std::string title;
  std::string row_label;                 // "expert"; rows are numbered from 0
  std::string column_label;              // "step"
  std::vector<BinnedRows::Row> columns;  // in the order of x, all of one length
  std::string meaning;                   // "share of the validation samples"
};
Figure draw(const ShareMap& map);

// The five numbers of a box plot.
struct Quartiles {
  double lower_whisker = 0;  // the smallest value within 1.5 box lengths of the box (Tukey)
  double lower = 0;
  double median = 0;
  double upper = 0;
  double upper_whisker = 0;
};
// Quartiles by linear interpolation between ranks (Hyndman and Fan's type 7, what NumPy and R do unasked).
// `values` is not empty.
Quartiles quartiles(std::vector<double> values);

// Arms below each other on one axis, how their runs spread: boxes from the lower to the upper quartile with the
// median, whiskers, and every run as a point.
struct BoxRow {
  std::string name;
  std::vector<double> values;  // one per run; none: the row stays empty
  std::vector<std::string> value_names;
  std::optional<double> published;
};
struct BoxPlot {
  std::string title;
  std::string x_label;
  NumberStyle style = NumberStyle::plain;
  std::vector<BoxRow> rows;
};
Figure draw(const BoxPlot& plot);

// How far apart arms are: means with their confidence intervals and a line at zero.
struct ForestRow {
  std::string name;
  double mean = 0;
  double low = 0;
  double high = 0;
};
struct ForestPlot {
  std::string title;
  std::string x_label;
  NumberStyle style = NumberStyle::plain;
  std::vector<ForestRow> rows;
  std::string note;
};
Figure draw(const ForestPlot& plot);

}  // namespace switchyard::report
