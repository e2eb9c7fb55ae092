// A whole page, from the files of a folder alone. All throw DataError for a broken one.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"

namespace switchyard::report {

// What every page begins with: how a page of ours is told from another's.
inline constexpr std::string_view page_mark =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"generator\" "
    "content=\"switchyard report\">\n";

// A key of config.ini that the headline of a run shows, and its word there. The tables of options name them.
struct ShownKey {
  std::string name;  // "moe.experts"
  std::string_view label;
};
using Headline = std::vector<ShownKey>;

// Of a run folder: what its config.ini, metrics.jsonl and summary.json tell.
std::string run_page(const std::filesystem::path& folder, const Headline& headline);

// Of a study folder: what its study.json and the metrics.jsonl of its runs tell. Links to the runs are relative
// to `page_folder`, where the page will be.
std::string study_page(const std::filesystem::path& folder, const std::filesystem::path& page_folder);

// The page of either; DataError with what to try for a folder that is neither.
std::string page_of(const std::filesystem::path& folder, const std::filesystem::path& page_folder,
                    const Headline& headline = {});

// Writes that page to `file`, whole or not at all, and returns its size in bytes. Takes no lock: a run may be
// writing in `folder`. Throws DataError. Local.
index_t write_report(const std::filesystem::path& folder, const std::filesystem::path& file,
                     const Headline& headline);

}  // namespace switchyard::report
