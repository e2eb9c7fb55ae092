#include "study/stop_relay.hpp"

#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <stop_token>
#include <utility>

#include "base/stop_signals.hpp"

namespace switchyard::study {
namespace {

void watch(const std::stop_token& ends, const std::filesystem::path& mark) {
  using namespace std::chrono_literals;
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  while (!ends.stop_requested()) {
    std::error_code ignored;
    const bool marked = std::filesystem::exists(mark, ignored);
    const bool pending = stop_requested();
    if (pending && !marked) std::ofstream(mark) << "stop\n";
    if (marked && !pending) request_stop();
    never.wait_for(lock, ends, 500ms, [] { return false; });
  }
}

}  // namespace

std::jthread relay_stop(std::filesystem::path mark) {
  return std::jthread([mark = std::move(mark)](const std::stop_token& ends) { watch(ends, mark); });
}

}  // namespace switchyard::study
