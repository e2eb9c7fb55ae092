#include "simgpu/kernels.hpp"

#include <cxxabi.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <regex>
#include <string>
#include <unordered_map>
#include <vector>

#include "simgpu/audit.hpp"
#include "simgpu/current.hpp"
#include "simgpu/device_code.hpp"
#include "simgpu/faults.hpp"
#include "simgpu/fibers.hpp"
#include "simgpu/memory.hpp"
#include "simgpu/settings.hpp"
#include "simgpu/streams.hpp"

namespace switchyard::device::cuda {
inline namespace with_nvcc {

// What kernels declare `extern __shared__`, of the one block that runs. Behind it, room for what they write too
// far.
inline constexpr std::size_t watched_bytes = 1024;
alignas(64) std::byte shared_memory[simgpu::most_shared_bytes + watched_bytes];

}  // namespace with_nvcc
}  // namespace switchyard::device::cuda

namespace simgpu {
namespace {

using switchyard::device::cuda::shared_memory;
using switchyard::device::cuda::watched_bytes;

constexpr std::size_t widest_alignment = 64;

struct KnownKernel {
  Kernel kernel;
  std::string name;
  std::size_t argument_bytes = 0;
  std::size_t opted_in_bytes = shared_bytes_without_opt_in;
};

std::unordered_map<const void*, KnownKernel>& known() {
  static auto* const all = new std::unordered_map<const void*, KnownKernel>;
  return *all;
}

// "PairwiseRows<true>": without the rooms that it lies in.
std::string short_name(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(type.name(), nullptr, nullptr, &status),
                                                    std::free);
  static const std::regex scope(R"((\(anonymous namespace\)|\w+)::)");
  return std::regex_replace(status == 0 ? text.get() : type.name(), scope, "");
}

// The arguments of one launch, as the kernel will find them.
class Arguments {
 public:
  Arguments(const Kernel& kernel, void* const* from) {
    std::size_t bytes = 0;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < kernel.parameter_count; ++i) {
      const Parameter& parameter = kernel.parameters[i];
      bytes = (bytes + parameter.alignment - 1) / parameter.alignment * parameter.alignment;
      places.push_back(bytes);
      bytes += parameter.bytes;
    }
    storage_.reset(new (std::align_val_t{widest_alignment}) std::byte[bytes]);
    for (std::size_t i = 0; i < places.size(); ++i) {
      std::byte* const place = storage_.get() + places[i];
      std::memcpy(place, from[i], kernel.parameters[i].bytes);
      kernel.parameters[i].clear_padding(place);
      pointers_.push_back(place);
    }
  }
  void* const* pointers() const { return pointers_.data(); }

 private:
  struct Free {
    void operator()(std::byte* data) const { ::operator delete[](data, std::align_val_t{widest_alignment}); }
  };
  std::unique_ptr<std::byte[], Free> storage_;
  std::vector<void*> pointers_;
};

struct Launch {
  const KnownKernel* known = nullptr;
  cudaLaunchConfig_t config{};
  Arguments arguments;
  std::vector<const Allocation*> used;  // what its arguments point into
  bool never_ends = false;              // as a test asked
};

void poison_shared_memory(std::size_t bytes) { std::memset(shared_memory, poison, bytes + watched_bytes); }

void check_shared_memory(const Launch& launch) {
  const std::byte* const end = shared_memory + launch.config.dynamicSmemBytes;
  for (std::size_t i = 0; i < watched_bytes; ++i) {
    if (end[i] == std::byte{poison}) continue;
    mistake(fmt::format("{}: overrun, {} bytes behind the end of its {} bytes of shared memory were written",
                        launch.known->name, i + 1, launch.config.dynamicSmemBytes));
  }
}

Index3 size_of(const dim3& size) { return {size.x, size.y, size.z}; }

void run_on_fibers(const Launch& launch, std::uint64_t seed) {
  const auto run_thread = [](const void* argument) {
    const Launch& mine = *static_cast<const Launch*>(argument);
    const Kernel& kernel = mine.known->kernel;
    kernel.run_thread(kernel.entry, mine.arguments.pointers());
  };
  const unsigned blocks = launch.config.gridDim.x;
  for (unsigned turn = 0; turn < blocks; ++turn) {
    blockIdx.x = seed % 2 == 0 ? turn : blocks - 1 - turn;
    poison_shared_memory(launch.config.dynamicSmemBytes);
    run_block(launch.known->name, static_cast<int>(launch.config.blockDim.x), seed * blocks + blockIdx.x,
              run_thread, &launch);
    check_shared_memory(launch);
  }
}

void run(const Launch& launch) {
  const KernelThreads& threads = settings().kernel_threads;
  const Kernel& kernel = launch.known->kernel;
  gridDim = size_of(launch.config.gridDim);
  blockDim = size_of(launch.config.blockDim);
  if (threads.kind == KernelThreads::Kind::serial && kernel.run_serially != nullptr) {
    poison_shared_memory(launch.config.dynamicSmemBytes);
    kernel.run_serially(launch.arguments.pointers(), shared_memory);
    check_shared_memory(launch);
  } else {
    run_on_fibers(launch, threads.seed);
  }
  for (const Allocation* const allocation : launch.used) {
    Memory::instance().check_canary(*allocation, launch.known->name);
  }
}

bool advance(Launch& launch) {
  if (launch.never_ends) return false;
  switch (next_kernel_fate()) {
    case KernelFate::runs:
      run(launch);
      return true;
    case KernelFate::loses_the_device:
      return true;
    case KernelFate::never_ends:
      launch.never_ends = true;
      return false;
  }
  return true;
}

}  // namespace

void know_kernel(const Kernel& kernel) {
  const std::scoped_lock lock(device_lock());
  KnownKernel& mine = known()[kernel.entry];
  if (mine.kernel.entry != nullptr) return;
  mine.kernel = kernel;
  mine.name = short_name(*kernel.functor);
  for (std::size_t i = 0; i < kernel.parameter_count; ++i) mine.argument_bytes += kernel.parameters[i].bytes;
}

cudaError_t launch_error(const cudaLaunchConfig_t& config, const void* entry) {
  const auto found = known().find(entry);
  if (found == known().end() || found->second.kernel.entry == nullptr) return cudaErrorInvalidDeviceFunction;
  constexpr unsigned most_blocks = 0x7fffffff;
  const bool is_line = config.gridDim.y == 1 && config.gridDim.z == 1 && config.blockDim.y == 1 &&
                       config.blockDim.z == 1;  // all that Switchyard launches
  if (!is_line || config.numAttrs != 0) return cudaErrorNotSupported;
  if (config.gridDim.x == 0 || config.gridDim.x > most_blocks || config.blockDim.x == 0 ||
      config.blockDim.x > most_block_threads) {
    return cudaErrorInvalidConfiguration;
  }
  if (config.dynamicSmemBytes > found->second.opted_in_bytes) return cudaErrorInvalidValue;
  if (found->second.argument_bytes > most_argument_bytes) return cudaErrorInvalidValue;
  if (stream_of(config.stream, "cudaLaunchKernelExC").device != current_device()) {
    return cudaErrorInvalidResourceHandle;
  }
  return cudaSuccess;
}

cudaError_t opt_in_to_shared_memory(const void* entry, int bytes) {
  if (bytes < 0 || static_cast<std::size_t>(bytes) > most_shared_bytes) return cudaErrorInvalidValue;
  known()[entry].opted_in_bytes = std::max(static_cast<std::size_t>(bytes), shared_bytes_without_opt_in);
  return cudaSuccess;
}

void launch(const cudaLaunchConfig_t& config, const void* entry, void* const* arguments) {
  const KnownKernel& kernel = known().at(entry);
  const auto mine =
      std::make_shared<Launch>(Launch{&kernel, config, Arguments(kernel.kernel, arguments), {}, false});
  std::size_t word = 0;
  for (std::size_t i = 0; i < kernel.kernel.parameter_count; ++i) {
    const std::size_t bytes = kernel.kernel.parameters[i].bytes;
    translate_argument({static_cast<std::byte*>(mine->arguments.pointers()[i]), bytes}, word, kernel.name,
                       current_device(), mine->used);
    word += (bytes + sizeof(std::uintptr_t) - 1) / sizeof(std::uintptr_t);
  }
  add_to_count("kernel " + kernel.name);
  issue(config.stream, {.name = kernel.name, .advance = [mine] { return advance(*mine); }});
}

}  // namespace simgpu
