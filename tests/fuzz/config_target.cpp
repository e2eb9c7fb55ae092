// A configuration file: INI text, keys and values, and how they fit together.
#include "cli/ini.hpp"
#include "config/parse.hpp"
#include "config/validate.hpp"
#include "fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace switchyard;
  return fuzz::may_be_refused([&] {
    const config::Config read = cli::parse_ini(fuzz::text_of(data, size), "fuzz.ini");
    config::validate(read);
    // What is accepted is written so that it reads the same again.
    const std::string text = config::to_ini(read);
    if (config::to_ini(cli::parse_ini(text, "written")) != text) __builtin_trap();
  });
}
