#include "report/html.hpp"

#include <fmt/format.h>

#include "base/build_info.hpp"
#include "report/pages.hpp"
#include "report/text.hpp"

namespace switchyard::report {
namespace {

std::string cells_html(std::string_view tag, const std::vector<std::string>& cells, std::size_t text_columns) {
  std::string out;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    out += fmt::format("<{0}{1}>{2}</{0}>", tag, i < text_columns ? " class=\"text\"" : "", cells[i]);
  }
  return out;
}

}  // namespace

std::string tiles_html(const std::vector<Tile>& tiles) {
  std::string out = "<dl class=\"tiles\">\n";
  for (const Tile& tile : tiles) {
    const std::string note =
        tile.note.empty() ? "" : fmt::format("<dd class=\"note\">{}</dd>", escape(tile.note));
    out += fmt::format("<div><dt>{}</dt><dd>{}</dd>{}</div>\n", escape(tile.label), tile.html, note);
  }
  return out + "</dl>\n";
}

std::string table_html(const Table& table) {
  std::vector<std::string> head;
  for (const std::string& cell : table.head) head.push_back(escape(cell));
  std::string out = fmt::format(
      "<div class=\"scroll\" tabindex=\"0\"><table{}>\n<thead><tr>{}</tr></thead>\n<tbody>\n",
      table.keeps_first ? " class=\"keeps-first\"" : "", cells_html("th", head, table.text_columns));
  for (const auto& row : table.rows)
    out += fmt::format("<tr>{}</tr>\n", cells_html("td", row, table.text_columns));
  return out + "</tbody></table></div>\n";
}

std::string section_html(std::string_view id, std::string_view title, std::string_view html) {
  if (html.empty()) return "";
  return fmt::format("<section id=\"{0}\">\n<h2>{1}</h2>\n{2}</section>\n", escape(id), escape(title), html);
}

std::string folder_link(const std::filesystem::path& target, const std::filesystem::path& page_folder,
                        std::string_view text) {
  std::error_code error;
  std::filesystem::path relative = std::filesystem::proximate(target, page_folder, error);
  if (error) relative = target;
  return fmt::format("<a class=\"whole-line\" href=\"{}\">{}</a>",
                     escape(link_text(relative.generic_string() + "/")), escape(text));
}

std::string details_html(std::string_view title, std::string_view html) {
  return fmt::format("<details><summary>{}</summary>\n{}</details>\n", escape(title), html);
}

std::string warnings_html(const std::vector<std::string>& warnings) {
  if (warnings.empty()) return "";
  std::string out = "<section id=\"warnings\" class=\"warnings\">\n<h2>Warnings</h2>\n<ul>\n";
  for (const std::string& warning : warnings) out += fmt::format("<li>{}</li>\n", escape(warning));
  return out + "</ul>\n</section>\n";
}

std::string document_html(const Document& document) {
  return std::string(page_mark) +
         fmt::format(
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<meta name=\"color-scheme\" content=\"light dark\">\n"
             "<title>{0}</title>\n<style>\n{1}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>{0}</h1>\n"
             "<p>{2}</p>\n</header>\n{3}<footer>Written by {4}.</footer>\n</main>\n</body>\n</html>\n",
             escape(document.title), style_sheet(), document.subtitle_html, document.html,
             escape(fmt::format("switchyard {}", build_info().version)));
}

}  // namespace switchyard::report
