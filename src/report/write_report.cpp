#include "report/write_report.hpp"

#include <string>

#include "files/regular_file.hpp"
#include "files/replacement.hpp"
#include "report/pages.hpp"

namespace switchyard::report {

index_t write_report(const std::filesystem::path& folder, const std::filesystem::path& file,
                     const Headline& headline) {
  constexpr std::string_view place = "--out=FILE";
  const std::string page = report::page_of(folder, file.has_parent_path() ? file.parent_path() : ".", headline);
  files::expect_replaceable(file, report::page_mark, place);
  files::ReplacementFile output(file, place);
  output.write(page);
  output.publish();
  return std::ssize(page);
}

}  // namespace switchyard::report
