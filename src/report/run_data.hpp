// What a run folder says, read for a report.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "report/binned_rows.hpp"
#include "report/json_fields.hpp"
#include "report/svg.hpp"

namespace switchyard::report {

// The step records of metrics.jsonl, in bounded memory.
struct StepSeries {
  std::map<std::string, BinnedRows, std::less<>> scalars;  // every member of a record that is a number
  BinnedRows load;                                         // samples per expert
  BinnedRows importance;                                   // sums of gate weights per expert
  BinnedRows phases{24};                                   // seconds, in the order of base/phase_clock.hpp
  std::vector<double> phase_totals;
  index_t records = 0;
  index_t without_loss = 0;  // records whose loss is no finite number
  index_t with_load = 0;     // records that say which expert took how many,
  index_t full_loads = 0;    // and of these, that every expert took all
  double samples = 0;
  double last_step = 0;
  double last_epoch = 0;

  // Whether every expert sees every sample: a gate that chooses none.
  bool is_dense() const { return with_load > 0 && full_loads == with_load; }
  // Empty if no record has it.
  std::vector<Point> points(std::string_view name) const;
};

// What was recorded of a model, or of one of its mixture layers.
struct Records {
  std::string name;  // of the layer; empty: of the model
  StepSeries steps;
  std::vector<Json> evaluations;  // of metrics.jsonl, in its order, the tables only in the last of each split
  Json summary;                   // null: not finished; of a layer, what each split says of it

  bool of_layer() const { return !name.empty(); }
  // What experts are chosen for: samples by a mixture, tokens by a layer of a model of text.
  std::string_view row_kind() const { return of_layer() ? "token" : "sample"; }
  index_t experts() const;  // 0: unknown
};

struct RunData : Records {
  std::filesystem::path folder;
  std::string config_text;                                   // empty: there is no config.ini
  std::map<std::string, std::string, std::less<>> settings;  // "moe.experts" -> "5"
  std::vector<Records> layers;  // of a model of several mixture layers; none: the model is one
  // Whether its rows are tokens.
  bool of_text() const;
  // Of config.ini by its name, "moe.experts"; empty: it is not there.
  std::string_view setting(std::string_view key) const;
  double number_setting(std::string_view key) const;  // NaN: not there, or no number
  // Whether the loss is of the sum of the experts' outputs, and no likelihood.
  bool has_squared_error() const;
  // Of task_loss, which for numbers may be one without a density: squared errors of labels as they were trained
  // on.
  std::string loss_unit() const;
  // Steps from one record to the next: metrics.every_steps.
  double record_distance() const;
  bool has_metrics = false;
  bool torn_line = false;  // metrics.jsonl ended in the middle of a record, which was left out
};

// Of all training steps, over all resumes, where `recorded` of them took `seconds`: where metrics.every_steps
// left some out, as many seconds for each of those; of a run without a record, what its summary says of its
// last start.
double training_seconds(const RunData& run, double steps, double recorded, double seconds);

// A member of an evaluation, and which evaluation it is of.
struct Found {
  Json object;     // the evaluation that has it; null: none
  std::string of;  // "test", "validation, step 216"
};
// The newest evaluation that has `name`, of the test split if any: summary.json's test and validation, then the
// records of metrics.jsonl.
Found find_evaluation(const Records& records, std::string_view name);

// Whether there is something of a run in the folder.
bool is_run(const std::filesystem::path& folder);
// metrics.jsonl is the long one.
enum class Reading { all, without_metrics };
// Reads config.ini, metrics.jsonl and summary.json; each may be missing. Throws DataError for a broken one.
RunData read_run(const std::filesystem::path& folder, Reading reading = Reading::all);

}  // namespace switchyard::report
