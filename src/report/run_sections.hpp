// The parts of a run's page. Each is empty where the run recorded nothing for it.
#pragma once

#include <string>

#include "report/charts.hpp"
#include "report/run_data.hpp"

namespace switchyard::report {

std::string run_learning(const RunData& run);  // loss and error over steps
std::string run_experts(const RunData& run);   // share, usage, classes, entropies and information
std::string run_time(const RunData& run);      // seconds per phase

// A chart over steps without a curve; its note says how many steps a point is the mean of, if not one.
LineChart step_chart(const RunData& run, std::string title, std::string y_label);
// The step records' member `name`.
Curve training_curve(const RunData& run, std::string_view name, std::string label, std::size_t colour,
                     Stroke stroke = Stroke::solid);
// That of the evaluations of the validation split, with a dot each.
Curve validation_curve(const RunData& run, std::string_view name, std::string label, std::size_t colour);

}  // namespace switchyard::report
