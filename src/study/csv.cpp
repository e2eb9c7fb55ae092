#include <fmt/format.h>

#include "study/tables.hpp"

namespace switchyard::study {
namespace {

std::string cell(const std::string& text) {
  if (text.find_first_of(",\"\n") == text.npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

struct Rows {
  std::string_view stage;
  const ArmResult& arm;
  const Values& values;
};

std::string rows(const Rows& of, const std::vector<RunResult>& runs) {
  std::string text;
  for (const RunResult& run : runs) {
    text += fmt::format("{},{},{},{},{}", of.stage, cell(of.arm.name), run.seed, cell(text_of(of.values)),
                        name(run.status));
    // The fewest digits that give the same double when read.
    for (const auto& value : run.metrics) text += value ? fmt::format(",{}", *value) : ",";
    text += '\n';
  }
  return text;
}

}  // namespace

std::string results_csv(const Results& results) {
  std::string text = "stage,arm,seed,values,status";
  for (const std::string& metric : results.options.metrics) text += ',' + cell(metric);
  text += '\n';
  for (const ArmResult& arm : results.arms) {
    for (const Candidate& candidate : arm.candidates)
      text += rows({"selection", arm, candidate.values}, candidate.runs);
    text += rows({"result", arm, arm.values}, arm.runs);
  }
  return text;
}

}  // namespace switchyard::study
