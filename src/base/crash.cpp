#include "base/crash.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>

#include "base/error.hpp"
#include "base/log.hpp"

namespace switchyard {
namespace {

constexpr std::array crashes = {SIGSEGV, SIGBUS, SIGABRT};
std::array<struct sigaction, crashes.size()> before;

bool is_own_end = false;

// If that is why a library gives up. Only what may be called wherever the process was.
void end_if_memory_is_short() {
  if (has_spare_memory()) return;
  log::error_at_once(
      "OutOfMemory: out of host memory (a library gave up when the system refused it some); raise the limit on "
      "memory, or use fewer threads (run.threads), fewer ranks per host, a smaller batch or a smaller model");
  ::_exit(static_cast<int>(ExitCode::library));
}

void on_crash(int signal) {
  end_if_memory_is_short();
  for (std::size_t i = 0; i < crashes.size(); ++i) ::sigaction(crashes[i], &before[i], nullptr);
  ::raise(signal);  // comes when this function returns
}

}  // namespace

bool has_spare_memory() noexcept {
  void* const memory = ::mmap(nullptr, spare_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  ::munmap(memory, spare_bytes);
  return true;
}

void report_ends_without_memory() {
  // A stack that cannot grow is such a crash, too.
  static std::array<std::byte, std::size_t{64} << 10> stack;
  const stack_t other = {.ss_sp = stack.data(), .ss_flags = 0, .ss_size = stack.size()};
  ::sigaltstack(&other, nullptr);
  struct sigaction action {};
  action.sa_handler = on_crash;
  action.sa_flags = SA_ONSTACK;
  for (std::size_t i = 0; i < crashes.size(); ++i) ::sigaction(crashes[i], &action, &before[i]);
  std::atexit([] {
    if (!is_own_end) end_if_memory_is_short();
  });
}

void expect_own_end() { is_own_end = true; }

}  // namespace switchyard
