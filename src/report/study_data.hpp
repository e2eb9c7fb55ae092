// What a study folder says, read for a report.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "report/published_value.hpp"
#include "report/run_data.hpp"

namespace switchyard::report {

struct StudyRun {
  double seed = 0;
  std::string folder;  // as study.json has it: below the study's folder, or absolute
  std::string status;  // "finished", "failed", "skipped", "missing"
  std::map<std::string, double> metrics;
};

struct StudySummary {
  double n = 0;
  double mean = 0;
  double deviation = 0;  // NaN with one run
  double best = 0;
};

// A setting that was tried before the arm's own was chosen.
struct StudyCandidate {
  std::string values;  // "moe.importance = 0.2"
  StudySummary summary;
  double failed = 0;
};

struct StudyArm {
  std::string name;
  std::string title;
  std::string values;
  std::vector<StudyRun> runs;
  std::map<std::string, StudySummary> summary;  // by metric
  std::vector<StudyCandidate> selection;
};

struct StudyDifference {
  std::string arm;
  std::string baseline;
  std::string metric;
  double n = 0;
  double mean = 0;
  double low = 0;
  double high = 0;
};

struct StudyData {
  std::string name;
  std::vector<std::string> metrics;
  std::string baseline;
  std::string select_by;
  std::vector<StudyArm> arms;
  std::vector<StudyDifference> differences;
  std::vector<PublishedValue> published;

  std::string title_of(const std::string& arm) const;  // the name, if the arm is unknown
};

// Throws DataError for a study.json that is broken or has no arms.
StudyData read_study(const std::filesystem::path& folder);

}  // namespace switchyard::report
