#include "device/describe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "base/build_info.hpp"
#include "base/error.hpp"
#include "device/context.hpp"

namespace switchyard::device {
namespace {

using testing::HasSubstr;

constexpr const char* two_sockets_of_two_cores =
    "processor\t: 0\nmodel name\t: Example CPU 2.0GHz\nphysical id\t: 0\ncore id\t\t: 0\n\n"
    "processor\t: 1\nmodel name\t: Example CPU 2.0GHz\nphysical id\t: 0\ncore id\t\t: 1\n\n"
    "processor\t: 2\nmodel name\t: Example CPU 2.0GHz\nphysical id\t: 1\ncore id\t\t: 0\n\n"
    "processor\t: 3\nmodel name\t: Example CPU 2.0GHz\nphysical id\t: 1\ncore id\t\t: 1\n\n"
    "processor\t: 4\nmodel name\t: Example CPU 2.0GHz\nphysical id\t: 0\ncore id\t\t: 0\n\n";

TEST(DescribeMachine, counts_sockets_cores_and_hardware_threads) {
  MachineInfo machine;
  std::istringstream lines(two_sockets_of_two_cores);
  read_cpuinfo(lines, machine);
  EXPECT_EQ(machine.cpu_model, "Example CPU 2.0GHz");
  EXPECT_EQ(machine.sockets, 2);
  EXPECT_EQ(machine.cores, 4);
  EXPECT_EQ(machine.hardware_threads, 5);
}

TEST(DescribeMachine, takes_each_processor_for_a_core_where_no_topology_is_shown) {
  MachineInfo machine;
  std::istringstream lines("processor\t: 0\nBogoMIPS\t: 50.00\n\nprocessor\t: 1\n");
  read_cpuinfo(lines, machine);
  EXPECT_EQ(machine.sockets, 1);
  EXPECT_EQ(machine.cores, 2);
  EXPECT_EQ(machine.cpu_model, "");
}

TEST(DescribeMachine, reads_memory_and_huge_pages) {
  MachineInfo machine;
  std::istringstream lines("MemTotal:       16384 kB\nMemFree:   1 kB\nMemAvailable:    8192 kB\n");
  read_meminfo(lines, machine);
  EXPECT_EQ(machine.memory_bytes, std::size_t{16} << 20);
  EXPECT_EQ(machine.available_bytes, std::size_t{8} << 20);
  std::istringstream chosen("always [madvise] never\n"), nothing("");
  EXPECT_EQ(chosen_word(chosen), "madvise");
  EXPECT_EQ(chosen_word(nothing), "unknown");
}

TEST(DescribeMachine, finds_this_machine_consistent) {
  const MachineInfo machine = describe_machine();
  EXPECT_GE(machine.hardware_threads, 1);
  EXPECT_GE(machine.cores, 1);
  EXPECT_LE(machine.cores, machine.hardware_threads);
  EXPECT_GE(machine.usable_threads, 1);
  EXPECT_GT(machine.memory_bytes, machine.available_bytes);
#if defined(__AVX512F__)  // the compiler was told that this machine has it
  EXPECT_TRUE(machine.avx512f);
#endif
#if defined(__AVX2__)
  EXPECT_TRUE(machine.avx2);
#endif
  EXPECT_THAT(to_string(machine), HasSubstr("instruction sets: "));
}

TEST(DescribeMachine, shows_devices_or_why_there_are_none) {
  MachineInfo machine;
  machine.cuda.why_none = "no reason";
  EXPECT_THAT(to_string(machine), HasSubstr("CUDA devices: none (no reason)"));
  machine.cuda.devices.push_back({.name = "Example",
                                  .compute_capability = 90,
                                  .multiprocessors = 132,
                                  .memory_bytes = std::size_t{80} << 30});
  EXPECT_THAT(to_string(machine),
              HasSubstr("CUDA device 0: Example, compute capability 9.0, 132 multiprocessors, 80.0 GiB"));
}

// In a build without CUDA, in one with CUDA on a machine without a driver, and where there are devices.
TEST(CudaContext, of_a_device_that_is_not_there_says_what_is) {
  const CudaDevices found = cuda_devices();
  EXPECT_EQ(found.why_none.empty(), found.count() > 0);
  try {
    Context::cuda(found.count());
    ADD_FAILURE() << "a context of a missing device was made";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), build_info().cuda ? ErrorKind::cuda : ErrorKind::not_built);
    if (build_info().cuda) {
      EXPECT_THAT(error.what(), HasSubstr(found.why_none));
    }
    EXPECT_THAT(error.what(), HasSubstr("run.device = cpu"));
  }
}

}  // namespace
}  // namespace switchyard::device
