#include "train/study/stop_relay.hpp"

#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <fstream>
#include <mutex>

#include "train/stop_request.hpp"

namespace switchyard::train::study {

StopRelay::StopRelay(std::filesystem::path mark)
    : thread_([mark = std::move(mark)](const std::stop_token& ends) { watch(ends, mark); }) {}

void StopRelay::watch(const std::stop_token& ends, const std::filesystem::path& mark) {
  using namespace std::chrono_literals;
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  while (!ends.stop_requested()) {
    std::error_code ignored;
    const bool marked = std::filesystem::exists(mark, ignored);
    const bool pending = stop_requested();
    if (pending && !marked) std::ofstream(mark) << "stop\n";
    if (marked && !pending) ::kill(::getpid(), SIGUSR1);
    never.wait_for(lock, ends, 500ms, [] { return false; });
  }
}

}  // namespace switchyard::train::study
