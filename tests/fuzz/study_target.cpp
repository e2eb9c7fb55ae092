// A study file: its arms, levels and published values. All arms share one configuration.
#include "config/ini.hpp"
#include "fuzz/target.hpp"
#include "study/spec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace switchyard;
  return fuzz::may_be_refused([&] {
    std::vector<config::Setting> settings;
    config::for_each_setting(fuzz::text_of(data, size), "fuzz.ini",
                             [&](const config::Setting& setting) { settings.push_back(setting); });
    const auto spec = study::read_spec((fuzz::folder() / "fuzz.ini").string(), settings, {},
                                       [](const std::string&) { return run::Config{}; });
    static_cast<void>(study::last_levels(spec));
  });
}
