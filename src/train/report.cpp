#include "train/report.hpp"

#include <string>

#include "base/regular_file.hpp"
#include "train/detail/file.hpp"
#include "train/report/pages.hpp"

namespace switchyard::train {

index_t write_report(const std::filesystem::path& folder, const std::filesystem::path& file) {
  constexpr std::string_view place = "--out=FILE";
  const std::string page = report::page_of(folder, file.has_parent_path() ? file.parent_path() : ".");
  expect_replaceable(file, report::page_mark, place);
  detail::ReplacementFile output(file, place);
  output.write(page);
  output.publish();
  return static_cast<index_t>(page.size());
}

}  // namespace switchyard::train
