// Files of a run or study that a report reads back: the same content in the place of each.
#include "fuzz/target.hpp"
#include "report/pages.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace switchyard;
  const std::string_view content = fuzz::text_of(data, size);
  for (const char* name : {"metrics.jsonl", "summary.json", "study.json"}) fuzz::write(name, content);
  fuzz::may_be_refused([&] { report::run_page(fuzz::folder(), {}); });
  return fuzz::may_be_refused([&] { report::study_page(fuzz::folder(), fuzz::folder()); });
}
