#include "report/pages.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "files/regular_file.hpp"
#include "files/replacement.hpp"
#include "report/run_data.hpp"

namespace switchyard::report {

void expect_run(const std::filesystem::path& folder, bool or_study) {
  if (is_run(folder)) return;
  std::error_code error;
  const std::string why = !std::filesystem::is_directory(folder, error)
                              ? std::filesystem::exists(folder, error) ? "it is a file" : "it does not exist"
                          : or_study ? "it holds neither a study.json nor a config.ini or metrics.jsonl"
                                     : "it holds neither a config.ini nor a metrics.jsonl";
  throw DataError(
      fmt::format("there is no run {0}in '{1}' ({2}); give the folder that `switchyard train` {3}made",
                  or_study ? "or study " : "", folder.string(), why, or_study ? "or `switchyard study` " : ""));
}

std::string page_of(const std::filesystem::path& folder, const std::filesystem::path& page_folder,
                    const Headline& headline, const Predictions* predictions) {
  if (files::is_there(folder / "study.json")) {
    if (predictions != nullptr)
      throw ConfigError(fmt::format(
          "'{}' is a study, and predictions are of the model of a run; name the run that they are of",
          folder.string()));
    return study_page(folder, page_folder);
  }
  expect_run(folder, /*or_study=*/true);
  return run_page(folder, headline, predictions);
}

index_t write_report(const std::vector<std::filesystem::path>& folders, const std::filesystem::path& file,
                     const Keys& keys, const Predictions* predictions) {
  constexpr std::string_view place = "--out=FILE";
  const std::filesystem::path page_folder = file.has_parent_path() ? file.parent_path() : ".";
  const std::string page = folders.size() == 1
                               ? page_of(folders.front(), page_folder, keys.headline, predictions)
                               : comparison_page(folders, page_folder, keys);
  files::expect_replaceable(file, page_mark, place);
  files::replace_file(file, page, place);
  return std::ssize(page);
}

}  // namespace switchyard::report
