// The pieces of a page. Arguments called `html` hold markup; all others are text and are escaped here.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace switchyard::report {

// A headline number.
struct Tile {
  std::string label;
  std::string html;  // the value
  std::string note;
};
std::string tiles_html(const std::vector<Tile>& tiles);

struct Table {
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;  // cells in HTML
  std::size_t text_columns = 1;                // the first ones; the others hold numbers
  bool keeps_first = false;                    // the first column stays in sight when the others scroll
};
std::string table_html(const Table& table);

// Nothing without `html`.
std::string section_html(std::string_view id, std::string_view title, std::string_view html);
// To a folder, relative to that of the page.
std::string folder_link(const std::filesystem::path& target, const std::filesystem::path& page_folder,
                        std::string_view text);
// Folded until it is clicked.
std::string details_html(std::string_view title, std::string_view html);
std::string warnings_html(const std::vector<std::string>& warnings);

struct Document {
  std::string title;
  std::string subtitle_html;
  std::string html;
};
// The whole page. It refers to nothing outside itself but what `html` links to.
std::string document_html(const Document& document);

// What goes into the page's <style>: colours for light and dark, the grid, printing (style.cpp).
std::string_view style_sheet();

}  // namespace switchyard::report
