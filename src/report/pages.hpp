// A whole page, from the files of folders alone. All throw DataError for a broken one.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"

namespace switchyard::report {

struct Predictions;  // report/predictions.hpp

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
struct Keys {
  Headline headline = {};
  std::vector<std::string> own = {};  // keys that only say which run it is, and differ in any two
};

// DataError with what to try for a folder that holds no run, or with `or_study` neither a run nor a study.
void expect_run(const std::filesystem::path& folder, bool or_study);

// Of a run folder: what its config.ini, metrics.jsonl and summary.json tell; and what its model said of
// samples, unless that is null.
std::string run_page(const std::filesystem::path& folder, const Headline& headline,
                     const Predictions* predictions = nullptr);

// Of a study folder: what its study.json and the metrics.jsonl of its runs tell. Links to the runs are relative
// to `page_folder`, where the page will be.
std::string study_page(const std::filesystem::path& folder, const std::filesystem::path& page_folder);

// Of two or more runs beside each other, compared with the first. ConfigError for a study among them, and for a
// run that is named twice.
std::string comparison_page(const std::vector<std::filesystem::path>& folders,
                            const std::filesystem::path& page_folder, const Keys& keys);

// The page of either; DataError with what to try for a folder that is neither, ConfigError for predictions of a
// study.
std::string page_of(const std::filesystem::path& folder, const std::filesystem::path& page_folder,
                    const Headline& headline = {}, const Predictions* predictions = nullptr);

// Writes the page of a folder, or of several runs compared, to `file`, whole or not at all, and returns its
// size in bytes. `predictions` are of the one run. Takes no lock: a run may be writing in a folder. Throws what
// the page throws, and DataError. Local.
index_t write_report(const std::vector<std::filesystem::path>& folders, const std::filesystem::path& file,
                     const Keys& keys, const Predictions* predictions = nullptr);

}  // namespace switchyard::report
