#include "train/report.hpp"

#include <cerrno>
#include <string>

#include "train/detail/file.hpp"
#include "train/report/pages.hpp"

namespace switchyard::train {

index_t write_report(const std::filesystem::path& folder, const std::filesystem::path& file) {
  constexpr std::string_view place = "--out=FILE";
  const std::string page = report::page_of(folder, file.has_parent_path() ? file.parent_path() : ".");
  // A rename onto a folder says less clearly what is wrong.
  std::error_code error;
  if (std::filesystem::is_directory(file, error)) detail::throw_file_error("write to", file, EISDIR, place);
  detail::ReplacementFile output(file, place);
  output.write(page);
  output.publish();
  return static_cast<index_t>(page.size());
}

}  // namespace switchyard::train
