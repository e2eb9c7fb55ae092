#include "study/options.hpp"

#include "config/field_table.hpp"

namespace switchyard::study {
namespace {

// How a study is made up; its runs have roles of their own.
constexpr config::FieldTable<Options> table{config::Role::output};
constexpr std::int64_t most = 1'000'000;
constexpr std::array fields = {
    table.text<&Options::dir>("dir", "the study's folder; required"),
    table.integer<&Options::seeds>("seeds", 1, most, "runs per arm, with its selected values"),
    table.integer<&Options::first_seed>("first_seed", 0, config::largest_count,
                                        "seeds are this one and those after it"),
    table.integer<&Options::ranks_per_run>(
        "ranks_per_run", 1, most, "ranks of one run; the ranks of the launch are cut into groups of that size"),
    table.integer<&Options::selection_seeds>("selection_seeds", 1, most,
                                             "runs per combination of values, in arms with more than one"),
    table.integer<&Options::selection_epochs>("selection_epochs", 0, config::largest_count,
                                              "train.epochs of these runs; 0: as the final ones"),
    table.text<&Options::select_by>("select_by",
                                    "a path into summary.json; the combination with the smallest mean wins"),
    table.words<&Options::arms>("arms", "only these of the file's arms, and in tables too; empty: all"),
    table.words<&Options::metrics>("metrics",
                                   "paths into summary.json; X.accuracy_percent stands for 100 (1 - X.error)"),
    table.text<&Options::baseline>(
        "baseline", "the arm from which differences of the others are taken, by seed; empty: none"),
    table.choice<&Options::keep_checkpoints, config::yes_no_words>(
        "keep_checkpoints",
        "no: of a finished run the best one alone stays, once no later arm (after) may need the last"),
    table.text<&Options::published>("published",
                                    "a file of arm,metric,step,value,std, beside the study file; empty: none"),
    table.choice<&Options::quick, config::yes_no_words>(
        "quick", "yes: the keys of [quick] replace those of [study] and [all]"),
};

}  // namespace

const config::Schema<Options>& schema() {
  static const config::Schema<Options> all({{"study", "the study itself", fields}},
                                           "'switchyard study --help' lists all keys");
  return all;
}

}  // namespace switchyard::study
