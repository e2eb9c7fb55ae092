// A safetensors file: its header, and all of its arrays.
#include "fuzz/target.hpp"
#include "interchange/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace switchyard;
  const std::filesystem::path file = fuzz::write("safetensors", fuzz::text_of(data, size));
  return fuzz::may_be_refused([&] {
    const interchange::SafetensorsReader reader(file);
    for (const auto& [name, array] : reader.arrays()) static_cast<void>(reader.read(array));
  });
}
