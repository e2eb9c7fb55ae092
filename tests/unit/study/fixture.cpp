#include "unit/study/fixture.hpp"

#include <fmt/format.h>

namespace switchyard::study::test {

std::vector<Setting> settings(const std::vector<Line>& lines) {
  std::vector<Setting> all;
  for (const Line& line : lines)
    all.push_back({line.section, line.key, line.value, fmt::format("study.ini:{}", all.size() + 1)});
  return all;
}

run::Config small_config(const std::string&) {
  run::Config config;
  config.data.source = data::Source::random;
  config.model.gate = "dense:experts";
  config.model.expert = "dense:classes";
  config.train.epochs = 7;
  return config;
}

Spec spec_of(const std::vector<Line>& lines, const std::vector<Line>& overrides) {
  return read_spec("configs/study.ini", settings(lines), settings(overrides), small_config);
}

std::vector<Line> two_arms() {
  return {{"study", "", ""},
          {"study", "dir", "runs/a"},
          {"study", "seeds", "3"},
          {"study", "selection_seeds", "2"},
          {"all", "", ""},
          {"all", "moe.experts", "4"},
          {"arm.plain", "", ""},
          {"arm.plain", "config", "../base.ini"},
          {"arm.grid", "", ""},
          {"arm.grid", "config", "base.ini"},
          {"arm.grid", "title", "With a grid"},
          {"arm.grid", "after", "plain"},
          {"arm.grid", "moe.importance", "0.2 | 0.4"},
          {"arm.grid", "moe.top_k", "1|2"}};
}

}  // namespace switchyard::study::test
