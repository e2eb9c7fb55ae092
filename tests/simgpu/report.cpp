#include "simgpu/report.hpp"

#include <execinfo.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "simgpu/device.hpp"
#include "simgpu/faults.hpp"
#include "simgpu/fibers.hpp"
#include "simgpu/memory.hpp"
#include "simgpu/settings.hpp"
#include "simgpu/streams.hpp"

namespace simgpu {
namespace {

constexpr std::size_t handler_stack_bytes = std::size_t{256} << 10;
struct sigaction handler_before {};

void print_line(const std::string& line) {
  std::fflush(nullptr);
  std::fprintf(stderr, "simulated device: %s\n", line.c_str());
}

bool was_write(const void* context) {
  constexpr long long write_bit = 2;  // of the page fault's error code
  return (static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_ERR] & write_bit) != 0;
}

// What a fault at an address in our windows means; empty if it is none of ours.
std::string explain_fault(std::uintptr_t address, bool write) {
  const Memory& memory = Memory::instance();
  const char* const verb = write ? "write" : "read";
  const Operation* const work = running_operation();
  if (memory.is_device_address(address)) {
    const std::string place = memory.describe_near(address);
    if (work == nullptr) return fmt::format("host {} of device memory: {}", verb, place);
    return fmt::format(
        "{}: {} through a device pointer that is not in its arguments (device memory may hold no "
        "pointers): {}",
        work->name, verb, place);
  }
  const std::string who = work == nullptr ? "the host" : work->name;
  if (memory.is_readable_address(address)) {
    const std::string place = memory.describe_near(memory.from_readable(address));
    return fmt::format("{}: {} outside of what is allocated: {}", who, verb, place);
  }
  if (memory.is_pinned_address(address)) {
    return fmt::format("{}: {} outside of pinned memory: {}", who, verb, memory.describe_near(address));
  }
  if (is_below_a_fiber(address)) return fmt::format("{}: a thread has more than its stack", who);
  return {};
}

void on_fault(int signal, siginfo_t* info, void* context) {
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  const std::string explanation = explain_fault(address, was_write(context));
  if (!explanation.empty()) {
    const Memory& memory = Memory::instance();
    const std::uintptr_t seen = memory.is_readable_address(address) ? memory.from_readable(address) : address;
    const auto* const pointer = reinterpret_cast<const void*>(seen);
    const Allocation* allocation = memory.find(pointer);
    if (allocation == nullptr) allocation = memory.find_freed(pointer);
    if (allocation != nullptr) print_stack(allocation->origin);
    mistake(explanation);
  }
  ::sigaction(signal, &handler_before, nullptr);  // not ours: it happens again, and its handler is asked
}

void explain_faults() {
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGSEGV, &action, &handler_before);
}

void append(const std::string& name, std::string (*line)()) {
  if (name.empty()) return;
  std::ofstream file(name, std::ios::app);
  file << line();
}

// Runs after all static objects of the program are gone: it was registered before they were made.
void look_at_the_end(int status, void*) {
  append(settings().counts_file, counts_as_json);
  append(settings().sites_file, sites_as_json);
  const std::vector<std::string> left = left_over();
  // What could not be let go of, or was in use by something that failed, is no mistake of the program.
  if (status != 0 || has_failed_as_planned() || left.empty()) return;
  for (const std::string& sentence : left) print_line("leak: " + sentence);
  std::fflush(nullptr);
  ::_exit(mistake_exit_code);
}

__attribute__((constructor(101))) void look_at_the_end_of_the_process() { ::on_exit(look_at_the_end, nullptr); }

void print_frames(void* const* frames, int count) { ::backtrace_symbols_fd(frames, count, STDERR_FILENO); }

}  // namespace

void prepare_thread() {
  static const bool once = (explain_faults(), true);
  (void)once;
  static thread_local bool is_prepared = false;
  if (is_prepared) return;
  is_prepared = true;
  stack_t stack{};
  stack.ss_sp = new std::byte[handler_stack_bytes];  // in use until the thread has ended
  stack.ss_size = handler_stack_bytes;
  ::sigaltstack(&stack, nullptr);
}

void mistake(const std::string& sentence) {
  if (const Operation* const work = running_operation()) {
    std::fprintf(stderr, "while %s ran:\n", work->name.c_str());
    print_stack(work->origin);
  }
  print_own_stack();
  print_line(sentence);
  ::_exit(mistake_exit_code);
}

Origin origin_of(std::string call) {
  Origin origin;
  origin.number = calls_of(call);
  origin.call = std::move(call);
  origin.frame_count = ::backtrace(origin.frames.data(), static_cast<int>(origin.frames.size()));
  return origin;
}

std::string describe(const Origin& origin) {
  return fmt::format("{}, its call {}", origin.call, origin.number);
}

void print_stack(const Origin& origin) {
  std::fprintf(stderr, "made by %s:\n", describe(origin).c_str());
  print_frames(origin.frames.data(), origin.frame_count);
}

void print_own_stack() {
  std::array<void*, 32> frames{};
  std::fprintf(stderr, "noticed here:\n");
  print_frames(frames.data(), ::backtrace(frames.data(), static_cast<int>(frames.size())));
}

std::vector<std::string> left_over() {
  const std::scoped_lock lock(device_lock());
  std::vector<std::string> left;
  for (const auto& [begin, allocation] : Memory::instance().live()) {
    left.push_back(describe(allocation) + " were never freed");
  }
  for (const CUstream_st& stream : handles().streams) {
    const bool was_opened = stream.origin.number > 0;  // unlike a default stream
    if (was_opened && !stream.is_destroyed) {
      left.push_back(fmt::format("the stream of {} was never destroyed", describe(stream.origin)));
    }
  }
  for (const CUevent_st& event : handles().events) {
    if (!event.is_destroyed) {
      left.push_back(fmt::format("the event of {} was never destroyed", describe(event.origin)));
    }
  }
  return left;
}

}  // namespace simgpu
