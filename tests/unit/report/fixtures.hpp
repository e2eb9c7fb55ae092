// Folders of runs and studies, written by hand: no program of ours made them.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace switchyard::test {

void write_file(const std::filesystem::path& path, std::string_view text);

// A step record; `extra` is further members, beginning with a comma.
std::string step_line(int step, double loss, std::string_view extra = "");
// A validation record of two experts and three classes.
std::string evaluation_line(int step, int epoch, double error);

// config.ini, metrics.jsonl (12 steps, 3 evaluations) and summary.json of a finished run of two experts.
void write_run(const std::filesystem::path& folder);
// The same of a run of text: 8 steps, 2 evaluations, two layers of two experts, the domains "code" and
// "<letters>". Expert 1 of the second layer is dead.
void write_text_run(const std::filesystem::path& folder);
// Two arms; the first has two runs whose folders are there, the second one finished without a
// folder and one failed with its folder.
void write_study(const std::filesystem::path& folder);

}  // namespace switchyard::test
