#include "device/cuda/check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "base/log.hpp"

namespace switchyard::device::cuda {
namespace {

constexpr std::string_view usual_advice =
    "`switchyard doctor` shows the devices; CUDA_LAUNCH_BLOCKING=1 names the kernel that failed";

// What an exception that unwinds grants to work under way.
constexpr auto longest_settling = std::chrono::seconds(2);
constexpr auto pause = std::chrono::microseconds(100);

struct State {
  std::vector<cudaStream_t> streams;
  bool has_failed = false;  // and said so
  bool is_left = false;     // to the end of the process
};

// A rank is a thread: the only one of a process, but for tests.
State& state() {
  static thread_local State of_this_thread;
  return of_this_thread;
}

bool is_idle(cudaStream_t stream) {
  const auto end = std::chrono::steady_clock::now() + longest_settling;
  cudaError_t status = cudaStreamQuery(stream);
  while (status == cudaErrorNotReady && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(pause);
    status = cudaStreamQuery(stream);
  }
  (void)cudaGetLastError();
  return status == cudaSuccess;
}

}  // namespace

std::string describe(cudaError_t status, std::string_view call) {
  return fmt::format("{} failed (CUDA error {}, {}: {})", call, static_cast<int>(status),
                     cudaGetErrorName(status), cudaGetErrorString(status));
}

void check(cudaError_t status, std::string_view call, std::string_view advice) {
  if (status == cudaSuccess) return;
  (void)cudaGetLastError();  // clears the error unless the context is lost
  state().has_failed = true;
  throw CudaError(fmt::format("{}; {}", describe(status, call), advice.empty() ? usual_advice : advice));
}

void log_failure(cudaError_t status, std::string_view call) noexcept {
  if (status == cudaSuccess || status == cudaErrorCudartUnloading) return;
  (void)cudaGetLastError();
  if (std::exchange(state().has_failed, true)) return;
  try {
    log::error("{}", describe(status, call));
  } catch (const std::exception&) {  // no memory for the line: nothing to add to that
  }
}

std::string also_met() {
  const cudaError_t status = cudaGetLastError();
  if (status == cudaSuccess) return {};
  return fmt::format("; CUDA error {}, {}: {}", static_cast<int>(status), cudaGetErrorName(status),
                     cudaGetErrorString(status));
}

bool may_release() noexcept {
  State& of_this_thread = state();
  if (!of_this_thread.is_left && std::uncaught_exceptions() > 0)
    of_this_thread.is_left = !std::ranges::all_of(of_this_thread.streams, is_idle);
  return !of_this_thread.is_left;
}

void forget_failures() noexcept {
  state().has_failed = false;
  state().is_left = false;
}

void note_stream(cudaStream_t stream) { state().streams.push_back(stream); }

void forget_stream(cudaStream_t stream) noexcept { std::erase(state().streams, stream); }

}  // namespace switchyard::device::cuda
