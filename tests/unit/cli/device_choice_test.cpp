#include "cli/device_choice.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.hpp"

namespace switchyard::cli {
namespace {

using device::DeviceKind;
using run::DeviceChoice;
using ::testing::HasSubstr;

FoundGpus gpus(int count) {
  FoundGpus found;
  for (int i = 0; i < count; ++i)
    found.devices.devices.push_back({.name = "NVIDIA H100",
                                     .compute_capability = 90,
                                     .multiprocessors = 132,
                                     .memory_bytes = std::size_t{80} << 30});
  found.devices.driver_version = 13000;
  found.devices.runtime_version = 12080;
  if (count == 0) found.devices.why_none = "this machine has no CUDA driver";
  found.products = {.path = "/usr/lib/libcublasLt.so.13", .version = "13.1.0", .why_none = {}};
  return found;
}

TEST(ChooseDevice, takes_a_gpu_where_there_is_one_and_ranks_take_them_in_turn) {
  for (const DeviceChoice asked : {DeviceChoice::automatic, DeviceChoice::cuda}) {
    for (const int rank : {0, 1, 2, 5}) {
      const ChosenDevice chosen = choose_device(asked, gpus(3), NodeRank(rank));
      EXPECT_EQ(chosen.kind, DeviceKind::cuda);
      EXPECT_EQ(chosen.ordinal, rank % 3);
    }
  }
  EXPECT_EQ(choose_device(DeviceChoice::cpu, gpus(3), NodeRank(0)).kind, DeviceKind::cpu);
}

TEST(ChooseDevice, says_what_is_missing) {
  FoundGpus without_library = gpus(1);
  without_library.products = {.path = {}, .version = {}, .why_none = "libcublasLt.so.13: not found"};
  for (const auto& [found, missing] : {std::pair{gpus(0), "this machine has no CUDA driver"},
                                       {without_library, "libcublasLt.so.13: not found"}}) {
    const ChosenDevice chosen = choose_device(DeviceChoice::automatic, found, NodeRank(0));
    EXPECT_EQ(chosen.kind, DeviceKind::cpu);
    EXPECT_THAT(chosen.why, HasSubstr(missing));
    try {
      choose_device(DeviceChoice::cuda, found, NodeRank(0));
      ADD_FAILURE() << "chosen without: " << missing;
    } catch (const CudaError& error) {
      EXPECT_THAT(error.what(), HasSubstr(missing));
      EXPECT_THAT(error.what(), HasSubstr("run.device = cpu"));
      EXPECT_EQ(exit_code(error.kind()), ExitCode::library);
    }
  }
}

TEST(DeviceTexts, say_versions_and_files) {
  EXPECT_EQ(
      gpu_text(gpus(2), 1),
      "cuda 1: NVIDIA H100, compute capability 9.0, 132 multiprocessors, 80.0 GiB; driver 13.0, runtime 12.8");
  EXPECT_EQ(products_text(gpus(1).products), "cublasLt 13.1.0 (/usr/lib/libcublasLt.so.13)");
}

}  // namespace
}  // namespace switchyard::cli
