#include "report/figure.hpp"

#include <fmt/format.h>

#include <string_view>

#include "report/text.hpp"

namespace switchyard::report {
namespace {

std::string key_shape(const LegendEntry& entry) {
  const std::string colour = colour_class(entry.colour);
  switch (entry.shape) {
    case KeyShape::curve:
      return fmt::format(R"(<path class="{}" d="M0 6L20 6"/>)", curve_class(entry.stroke, entry.colour));
    case KeyShape::area:
      return fmt::format(R"(<rect class="area {}" x="3" y="0" width="14" height="12" rx="2"/>)", colour);
    case KeyShape::dot:
      return fmt::format(R"(<circle class="dot {}" cx="10" cy="6" r="4"/>)", colour);
    case KeyShape::diamond:
      return R"(<path class="published" d="M10 0L16 6L10 12L4 6Z"/>)";
  }
  return "";
}

std::string legend_html(const std::vector<LegendEntry>& legend) {
  if (legend.empty()) return "";
  std::string out = "<ul class=\"legend\">";
  for (const LegendEntry& entry : legend) {
    out += fmt::format("<li>{}{}</li>", legend_key(entry), escape(entry.name));
  }
  return out + "</ul>";
}

std::string_view width_class(FigureWidth width) {
  constexpr std::string_view classes[] = {"half", "whole", "small"};
  return classes[as_size(width)];
}

}  // namespace

std::string colour_class(std::size_t series) { return fmt::format("c{}", series % colour_count); }

std::string curve_class(Stroke stroke, std::size_t series) {
  constexpr std::string_view classes[] = {"curve", "curve dashed", "curve dotted"};
  return fmt::format("{} {}", classes[as_size(stroke)], colour_class(series));
}

std::string legend_key(const LegendEntry& entry) {
  return fmt::format(
      R"(<svg class="key" viewBox="0 0 20 12" width="20" height="12" aria-hidden="true">{}</svg>)",
      key_shape(entry));
}

std::string figure_html(const Figure& figure) {
  std::string out = fmt::format("<figure class=\"{}\"><figcaption>{}</figcaption>\n", width_class(figure.width),
                                escape(figure.title));
  out += legend_html(figure.legend);
  // A keyboard must reach what scrolls.
  const bool scrolls = figure.width == FigureWidth::whole;
  if (!figure.svg.empty()) {
    out += fmt::format("<div class=\"picture\"{}>{}</div>\n", scrolls ? " tabindex=\"0\"" : "", figure.svg);
  }
  if (!figure.note.empty()) out += fmt::format("<p class=\"note\">{}</p>\n", figure.note);
  return out + "</figure>\n";
}

std::string figure_grid(const std::vector<Figure>& figures) {
  std::string shown;
  std::string without;
  bool small = false;
  for (const Figure& figure : figures) {
    if (figure.svg.empty()) {
      without += fmt::format("<p class=\"note\">{}: {}</p>\n", escape(figure.title), figure.note);
    } else {
      shown += figure_html(figure);
      small = figure.width == FigureWidth::small;
    }
  }
  if (shown.empty()) return without;
  return fmt::format("<div class=\"{}\">\n{}</div>\n{}", small ? "grid three" : "grid", shown, without);
}

}  // namespace switchyard::report
