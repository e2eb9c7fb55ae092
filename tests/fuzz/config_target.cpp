// A configuration file: INI text, keys and values, and how they fit together.
#include "fuzz/target.hpp"
#include "run/config.hpp"
#include "run/validate.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace switchyard;
  return fuzz::may_be_refused([&] {
    const run::Config read = run::parse_config(fuzz::text_of(data, size), "fuzz.ini");
    run::validate(read);
    // What is accepted is written so that it reads the same again.
    const std::string text = run::schema().to_ini(read);
    if (run::schema().to_ini(run::parse_config(text, "written")) != text) __builtin_trap();
  });
}
