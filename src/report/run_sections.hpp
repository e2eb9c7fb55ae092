// The parts of a run's page. Each is empty where the run recorded nothing for it.
#pragma once

#include <string>
#include <vector>

#include "report/charts.hpp"
#include "report/run_data.hpp"

namespace switchyard::report {

std::string run_learning(const RunData& run);  // loss and error over steps
// Of a model that is a mixture, or of a layer of several: share, usage, classes or domains, entropies,
// information.
std::string run_experts(const Records& records);
// Share of the experts over time and at the end, by gate weights where every expert sees every sample.
std::vector<Figure> share_figures(const Records& records);
// How mixed classes or domains are over experts, and experts over them; and a table of what each expert took.
// Empty where the run counted none.
std::vector<Figure> mixing_figures(const Records& records);
std::string expert_table(const Records& records);
std::string run_layers(const RunData& run);  // a section for each of several layers
std::string run_time(const RunData& run);    // seconds per phase

// Sentences about what a reader of the run's numbers must know.
std::vector<std::string> run_warnings(const RunData& run);
// Of the training steps alone; tokens of a model of text.
double samples_per_second(const RunData& run);

// A chart over steps without a curve; its note says how many steps a point is the mean of, if not one.
LineChart step_chart(const Records& records, std::string title, std::string y_label);
// The step records' member `name`.
Curve training_curve(const Records& records, std::string_view name, std::string label, std::size_t colour,
                     Stroke stroke = Stroke::solid);
// That of the evaluations of the validation split, with a dot each.
Curve validation_curve(const Records& records, std::string_view name, std::string label, std::size_t colour);

}  // namespace switchyard::report
