// A CIFAR folder whose files all have the same content.
#include "data/cifar.hpp"
#include "fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace switchyard;
  for (const char* name : {"train.bin", "test.bin"}) fuzz::write(name, fuzz::text_of(data, size));
  return fuzz::may_be_refused([&] { data::read_cifar(fuzz::folder()); });
}
