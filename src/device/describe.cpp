#include "device/describe.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <memory>
#include <numeric>
#include <set>
#include <string_view>
#include <thread>
#include <utility>

#include "base/lines.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace switchyard::device {
namespace {

// "key<tabs>: value" -> {key, value}; {line, ""} without a colon.
std::pair<std::string_view, std::string_view> split_line(std::string_view line) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return {line, {}};
  const auto trim = [](std::string_view part) {
    const auto first = part.find_first_not_of(" \t");
    if (first == std::string_view::npos) return std::string_view{};
    return part.substr(first, part.find_last_not_of(" \t") - first + 1);
  };
  return {trim(line.substr(0, colon)), trim(line.substr(colon + 1))};
}

int to_int(std::string_view text) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

#if defined(__x86_64__)
// The register states that the kernel saves (XCR0): an instruction set counts only if its registers are among
// them.
std::uint64_t enabled_states() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & bit_OSXSAVE) == 0) return 0;
  unsigned low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (std::uint64_t{high} << 32) | low;
}

void read_instruction_sets(MachineInfo& machine) {
  constexpr std::uint64_t ymm = 0x6, zmm = 0xe6, tiles = 0x60000;
  const std::uint64_t enabled = enabled_states();
  const auto saves = [&](std::uint64_t states) { return (enabled & states) == states; };
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0) {
    machine.avx2 = (ebx & (1U << 5)) != 0 && saves(ymm);
    machine.avx512f = (ebx & (1U << 16)) != 0 && saves(zmm);
    machine.amx_bf16 = (edx & (1U << 22)) != 0 && saves(tiles);
  }
  if (__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0) {
    machine.avx512_bf16 = (eax & (1U << 5)) != 0 && saves(zmm);
  }
}
#else
void read_instruction_sets(MachineInfo&) {}
#endif

// Of the kernel's mask; far above any machine of today.
constexpr int most_processors = 1 << 16;

struct FreeCpuSet {
  void operator()(cpu_set_t* set) const noexcept { CPU_FREE(set); }
};

std::string gibibytes(std::size_t bytes) {
  return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / static_cast<double>(std::size_t{1} << 30));
}

}  // namespace

void read_cpuinfo(std::istream& lines, MachineInfo& machine) {
  std::set<int> sockets;
  std::set<std::pair<int, int>> cores;
  int socket = 0;
  for (std::string line; next_line(lines, line);) {
    const auto [key, value] = split_line(line);
    if (key == "processor") ++machine.hardware_threads;
    if (key == "model name") machine.cpu_model = value;
    if (key == "physical id") sockets.insert(socket = to_int(value));
    if (key == "core id") cores.insert({socket, to_int(value)});
  }
  // Not every architecture and container shows the topology.
  machine.sockets = sockets.empty() ? 1 : static_cast<int>(sockets.size());
  machine.cores = cores.empty() ? machine.hardware_threads : static_cast<int>(cores.size());
}

void read_meminfo(std::istream& lines, MachineInfo& machine) {
  for (std::string line; next_line(lines, line);) {
    const auto [key, value] = split_line(line);
    std::size_t kibibytes = 0;
    std::from_chars(value.data(), value.data() + value.size(), kibibytes);
    if (key == "MemTotal") machine.memory_bytes = kibibytes * 1024;
    if (key == "MemAvailable") machine.available_bytes = kibibytes * 1024;
  }
}

std::string chosen_word(std::istream& lines) {
  std::string line;
  next_line(lines, line);
  const auto first = line.find('[');
  const auto last = line.find(']', first);
  if (first == std::string::npos || last == std::string::npos) return "unknown";
  return line.substr(first + 1, last - first - 1);
}

std::vector<int> allowed_processors() {
  // The fixed cpu_set_t ends at 1024; the kernel refuses a mask shorter than its own.
  const std::unique_ptr<cpu_set_t, FreeCpuSet> set(CPU_ALLOC(most_processors));
  const std::size_t set_bytes = CPU_ALLOC_SIZE(most_processors);
  std::vector<int> processors;
  if (set && sched_getaffinity(0, set_bytes, set.get()) == 0) {
    for (int processor = 0; processor < most_processors; ++processor) {
      if (CPU_ISSET_S(as_size(processor), set_bytes, set.get())) processors.push_back(processor);
    }
  }
  if (processors.empty()) {  // no mask to be had: all of them
    processors.resize(std::max(1U, std::thread::hardware_concurrency()));
    std::iota(processors.begin(), processors.end(), 0);
  }
  return processors;
}

MachineInfo describe_machine() {
  MachineInfo machine;
  std::ifstream cpuinfo("/proc/cpuinfo"), meminfo("/proc/meminfo");
  std::ifstream huge_pages("/sys/kernel/mm/transparent_hugepage/enabled");
  read_cpuinfo(cpuinfo, machine);
  read_meminfo(meminfo, machine);
  read_instruction_sets(machine);
  machine.usable_threads = static_cast<int>(allowed_processors().size());
  machine.huge_pages = chosen_word(huge_pages);
  machine.cuda = cuda_devices();
  return machine;
}

std::string model_of(const CudaDevice& device) {
  return fmt::format("{}, compute capability {}.{}, {} multiprocessors", device.name,
                     device.compute_capability / 10, device.compute_capability % 10, device.multiprocessors);
}

std::string describe(const CudaDevice& device) {
  return fmt::format("{}, {}", model_of(device), gibibytes(device.memory_bytes));
}

std::string versions_text(const CudaDevices& devices) {
  const auto text = [](int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); };
  return fmt::format("driver {}, runtime {}", text(devices.driver_version), text(devices.runtime_version));
}

std::string to_string(const MachineInfo& machine) {
  std::string sets;
  const auto add = [&](bool present, std::string_view name) {
    if (present) sets += fmt::format("{}{}", sets.empty() ? "" : " ", name);
  };
  add(machine.avx2, "avx2");
  add(machine.avx512f, "avx512f");
  add(machine.avx512_bf16, "avx512_bf16");
  add(machine.amx_bf16, "amx_bf16");
  std::string text = fmt::format(
      "processor: {}\nsockets: {}\ncores: {}\nhardware threads: {} ({} usable by this process)\n"
      "instruction sets: {}\nmemory: {} ({} available)\nhuge pages: {}\n",
      machine.cpu_model.empty() ? "unknown" : machine.cpu_model, machine.sockets, machine.cores,
      machine.hardware_threads, machine.usable_threads,
      sets.empty() ? "none of avx2 avx512f avx512_bf16 amx_bf16" : sets, gibibytes(machine.memory_bytes),
      gibibytes(machine.available_bytes), machine.huge_pages);
  if (machine.cuda.count() == 0) text += fmt::format("CUDA devices: none ({})\n", machine.cuda.why_none);
  for (int ordinal = 0; ordinal < machine.cuda.count(); ++ordinal)
    text += fmt::format("CUDA device {}: {}\n", ordinal, describe(machine.cuda.devices[ordinal]));
  if (machine.cuda.count() > 0) text += fmt::format("CUDA: {}\n", versions_text(machine.cuda));
  return text;
}

}  // namespace switchyard::device
