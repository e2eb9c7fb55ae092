// The sub-commands. Each takes the arguments after its name and returns the exit code; failures are thrown as
// Error.
#pragma once

#include <string>

#include "base/span.hpp"
#include "cli/runtime.hpp"

namespace switchyard::cli {

using Arguments = Span<const std::string>;

// On all ranks of a launch.
int train(Runtime& runtime, Arguments arguments);
int resume(Runtime& runtime, Arguments arguments);
int study(Runtime& runtime, Arguments arguments);
int evaluate(Runtime& runtime, Arguments arguments);
int predict(Runtime& runtime, Arguments arguments);
int sample(Runtime& runtime, Arguments arguments);
int bench(Runtime& runtime, Arguments arguments);
int bench_device(Runtime& runtime, Arguments arguments);
int bench_matmul(Runtime& runtime, Arguments arguments);
int bench_exchange(Runtime& runtime, Arguments arguments);
int bench_step(Runtime& runtime, Arguments arguments);

// On one process.
int inspect(Arguments arguments);
int verify(Arguments arguments);
int diff(Arguments arguments);
int report(Arguments arguments);
int list(Arguments arguments);
int plan(Arguments arguments);
int doctor(Arguments arguments);
int samples(Arguments arguments);
int convert(Arguments arguments);
int new_configuration(Arguments arguments);
int corpus(Arguments arguments);
int export_model(Arguments arguments);
int import_model(Arguments arguments);

// The text of docs/configuration.md.
std::string configuration_page();
// All --section.key options of a run.
std::string run_options_help();

std::string train_help();
std::string resume_help();
std::string study_help();
std::string evaluate_help();
std::string predict_help();
std::string bench_help();
std::string inspect_help();
std::string verify_help();
std::string diff_help();
std::string report_help();
std::string list_help();
std::string plan_help();
std::string doctor_help();
std::string sample_help();
std::string samples_help();
std::string convert_help();
std::string new_help();
std::string corpus_help();
std::string export_help();
std::string import_help();

}  // namespace switchyard::cli
