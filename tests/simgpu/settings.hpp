// What the environment asks of the simulated device; see control.hpp. Tests change it later through
// control.hpp.
#pragma once

#include <string>

#include "simgpu/control.hpp"

namespace simgpu {

enum class Driver { missing, without_devices, present };

struct Settings {
  Order order;
  KernelThreads kernel_threads;
  bool host_pointers = false;
  int multiprocessors = 132;
  std::size_t memory_bytes = std::size_t{16} << 30;
  Driver driver = Driver::present;
  int devices = 1;
  std::string counts_file;  // empty: none
  std::string sites_file;   // empty: none
};

// Read once, at the first call.
Settings& settings();

}  // namespace simgpu
