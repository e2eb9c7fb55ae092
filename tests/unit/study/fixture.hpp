// Study files for tests, without INI text: cli reads that.
#pragma once

#include <string>
#include <vector>

#include "study/spec.hpp"

namespace switchyard::study::test {

// section, key ("" for the section's own line), value.
struct Line {
  std::string section;
  std::string key;
  std::string value;
};

// Numbers the lines: "study.ini:1" and so on.
std::vector<Setting> settings(const std::vector<Line>& lines);

// A small configuration that runs, whatever the path.
run::Config small_config(const std::string& path);

// read_spec of these lines in the file "configs/study.ini", with overrides such as {"", "study.seeds", "2"}.
Spec spec_of(const std::vector<Line>& lines, const std::vector<Line>& overrides = {});

// Two arms: `plain`, and `grid` with four combinations after it.
std::vector<Line> two_arms();

}  // namespace switchyard::study::test
