#include "report/pages.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "files/regular_file.hpp"
#include "files/replacement.hpp"
#include "report/run_data.hpp"

namespace switchyard::report {

std::string page_of(const std::filesystem::path& folder, const std::filesystem::path& page_folder,
                    const Headline& headline) {
  std::error_code error;
  if (files::is_there(folder / "study.json")) return study_page(folder, page_folder);
  if (is_run(folder)) return run_page(folder, headline);
  const char* why = std::filesystem::is_directory(folder, error)
                        ? "it holds neither a study.json nor a config.ini or metrics.jsonl"
                    : std::filesystem::exists(folder, error) ? "it is a file"
                                                             : "it does not exist";
  throw DataError(
      fmt::format("there is no run or study in '{}' ({}); give the folder that `switchyard train` or "
                  "`switchyard study` made",
                  folder.string(), why));
}

index_t write_report(const std::filesystem::path& folder, const std::filesystem::path& file,
                     const Headline& headline) {
  constexpr std::string_view place = "--out=FILE";
  const std::string page = page_of(folder, file.has_parent_path() ? file.parent_path() : ".", headline);
  files::expect_replaceable(file, page_mark, place);
  files::replace_file(file, page, place);
  return std::ssize(page);
}

}  // namespace switchyard::report
