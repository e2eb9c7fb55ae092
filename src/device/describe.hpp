// What this machine offers: for `doctor` and the table at start.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>
#include <vector>

#include "device/cuda/backend.hpp"

namespace switchyard::device {

struct MachineInfo {
  std::string cpu_model;
  int sockets = 0;
  int cores = 0;  // physical, of the machine (of the container: those it shows)
  int hardware_threads = 0;
  int usable_threads =
      0;  // of them in this process's affinity mask: a launcher may have bound the rank to a few

  // Instruction sets that change the speed of products, and their bits: present, and switched on by the kernel.
  bool avx2 = false;
  bool avx512f = false;
  bool avx512_bf16 = false;
  bool amx_bf16 = false;

  std::size_t memory_bytes = 0;
  std::size_t available_bytes = 0;
  // "always", "madvise" or "never" (/sys/kernel/mm/transparent_hugepage/enabled), or "unknown". Large buffers
  // ask for huge pages with madvise; "never" costs a few per cent.
  std::string huge_pages;

  CudaDevices cuda;
};

// Reads /proc, /sys and cpuid. What cannot be read stays at its default; never throws for that.
MachineInfo describe_machine();

// Numbers of the processors in the calling thread's affinity mask, ascending, at least one. The launcher, the
// batch system or a container may leave fewer than the machine has. Call it before threads of ours are pinned.
std::vector<int> allowed_processors();

// "NVIDIA H100, compute capability 9.0, 132 multiprocessors": what computes alike; and with its memory, "...,
// 79.6 GiB"
std::string model_of(const CudaDevice& device);
std::string describe(const CudaDevice& device);
// "driver 13.0, runtime 13.0"
std::string versions_text(const CudaDevices& devices);
// Several lines, "name: value" each, for a person.
std::string to_string(const MachineInfo& machine);

// The parts that read texts of the kernel, apart for tests. /proc/cpuinfo: model, sockets, cores, hardware
// threads.
void read_cpuinfo(std::istream& lines, MachineInfo& machine);
// /proc/meminfo: total and available memory.
void read_meminfo(std::istream& lines, MachineInfo& machine);
// "always [madvise] never" -> "madvise".
std::string chosen_word(std::istream& lines);

}  // namespace switchyard::device
