// The result of a run as a person reads it: errors and entropies, and what every expert did.
#pragma once

#include <optional>
#include <string>

#include "console/terminal.hpp"
#include "moe/statistics.hpp"

namespace switchyard::console {

struct Result {
  const moe::Statistics* validation = nullptr;  // null or without samples: not evaluated
  const moe::Statistics* test = nullptr;
  // moe.importance of the run, for the advice on dead experts; nothing where the gate cannot learn to balance.
  std::optional<double> importance_weight = 0;
};

// The parts below in order, for the test split, or the validation split where there is no test; of a model of
// several mixture layers the tables of each, of a single expert the scores alone. Every line ends with a line
// break. Empty if nothing was evaluated.
std::string result_text(const Result& result, const TextStyle& style);

// What the best checkpoint, which is not the last step's, gives on the test split.
std::string best_line(index_t step, std::string_view score, double validation, const moe::Statistics& test);
// Error, loss and, of several experts, entropies and mutual information, a column per split.
std::string score_table(const Result& result);
// A line per expert: its share of the samples, its mean gate weight, a bar.
std::string usage_bars(const moe::RoutingStatistics& statistics, std::string_view split,
                       const TextStyle& style);
// A row per class, by its name if it has one, a column per expert; percentages of the row. Columns that do not
// fit are folded below; more than 64 experts and 20 classes are cut, with a note where the rest is.
std::string class_table(const moe::RoutingStatistics& statistics, const std::vector<std::string>& names,
                        std::string_view split, const TextStyle& style);
// The same of groups, such as clusters or domains. Empty where there are none.
std::string group_table(const moe::RoutingStatistics& statistics, const std::vector<std::string>& names,
                        std::string_view split, const TextStyle& style, std::string_view rows = "tokens");
// "try ...", against experts that get too few samples; without the end of a sentence.
std::string importance_advice(double importance_weight);
// Empty where no expert is dead.
std::string dead_expert_warning(const moe::RoutingStatistics& statistics, std::string_view split,
                                std::optional<double> importance_weight, const TextStyle& style);

}  // namespace switchyard::console
