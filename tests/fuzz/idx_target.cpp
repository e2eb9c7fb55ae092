// IDX arrays, plain and compressed.
#include "data/idx.hpp"
#include "fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace switchyard;
  const std::filesystem::path file = fuzz::write("idx", fuzz::text_of(data, size));
  for (const int dimensions : {0, 1, 3}) fuzz::may_be_refused([&] { data::read_idx(file, dimensions); });
  fuzz::may_be_refused([&] { data::read_idx_labels(file); });
  return 0;
}
