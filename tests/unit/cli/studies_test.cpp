// Every study under configs/studies/ must parse, and so must all configurations of its arms, quick or not.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "cli/options.hpp"
#include "config/ini.hpp"
#include "run/config.hpp"
#include "study/check.hpp"

namespace switchyard::cli {
namespace {

const std::filesystem::path folder = SY_SOURCE_DIR "/configs/studies";

study::Spec read(const std::string& file, const std::string& quick) {
  std::vector<config::Setting> settings;
  config::for_each_setting(read_ini_file(file), file,
                           [&](const config::Setting& setting) { settings.push_back(setting); });
  return study::read_spec(file, settings,
                          {{.section = {}, .key = "study.quick", .value = quick, .where = "test"},
                           {.section = {}, .key = "data.dir", .value = "/data", .where = "test"}},
                          read_configuration);
}

TEST(Studies, are_valid) {
  int studies = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".ini") continue;
    ++studies;
    for (const char* quick : {"no", "yes"}) {
      EXPECT_NO_THROW({
        const study::Spec spec = read(entry.path().string(), quick);
        study::check_study(spec, static_cast<int>(spec.options.ranks_per_run), [](const run::Config&) {});
      }) << entry.path();
    }
  }
  EXPECT_GT(studies, 0);
}

}  // namespace
}  // namespace switchyard::cli
