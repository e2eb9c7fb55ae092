// Streams and events of the CUDA runtime.
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "simgpu/current.hpp"
#include "simgpu/device.hpp"
#include "simgpu/memory.hpp"
#include "simgpu/streams.hpp"

namespace {

using namespace simgpu;

CUevent_st& event_of(cudaEvent_t handle, const char* call) {
  for (CUevent_st& event : handles().events) {
    if (&event != handle) continue;
    if (event.is_destroyed) {
      print_stack(event.origin);
      mistake(fmt::format("{} with a destroyed event (of {})", call, describe(event.origin)));
    }
    return event;
  }
  mistake(fmt::format("{} with {}, which is no event", call, static_cast<const void*>(handle)));
}

CUstream_st* locked_stream(cudaStream_t handle, const char* call) {
  const std::scoped_lock lock(device_lock());
  return &stream_of(handle, call);
}

bool is_reached(const CUevent_st& event) { return event.last == nullptr || event.last->reached; }

cudaError_t result_of_work() { return remember(static_cast<cudaError_t>(lost_code())); }

// What a query answers. Not an error that is remembered.
cudaError_t ready_or_not(bool ready) {
  if (const int lost = lost_code()) return remember(static_cast<cudaError_t>(lost));
  return ready ? cudaSuccess : cudaErrorNotReady;
}

}  // namespace

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int flags) {
  if (const cudaError_t error = begin("cudaStreamCreateWithFlags")) return remember(error);
  if (flags != cudaStreamNonBlocking) {
    mistake(
        "cudaStreamCreateWithFlags of a stream that waits for the default stream (use cudaStreamNonBlocking)");
  }
  const std::scoped_lock lock(device_lock());
  handles().streams.push_back({.device = current_device(), .origin = origin_of("cudaStreamCreateWithFlags")});
  *stream = &handles().streams.back();
  return cudaSuccess;
}

// Returns at once; the work that the stream holds still runs.
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (const cudaError_t error = begin("cudaStreamDestroy")) return remember(error);
  const std::scoped_lock lock(device_lock());
  if (stream == nullptr) mistake("cudaStreamDestroy of the default stream");
  stream_of(stream, "cudaStreamDestroy").is_destroyed = true;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  if (const cudaError_t error = begin("cudaStreamSynchronize")) return remember(error);
  CUstream_st* const stream = locked_stream(handle, "cudaStreamSynchronize");
  run_until(stream, [stream] { return is_empty(*stream); });
  return result_of_work();
}

// One operation runs at each query, so that a loop of queries comes to its end.
cudaError_t cudaStreamQuery(cudaStream_t handle) {
  if (const cudaError_t error = begin("cudaStreamQuery")) return remember(error);
  CUstream_st* const stream = locked_stream(handle, "cudaStreamQuery");
  run_one();
  const std::scoped_lock lock(device_lock());
  return ready_or_not(is_empty(*stream));
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int flags) {
  if (const cudaError_t error = begin("cudaStreamWaitEvent")) return remember(error);
  if (flags != cudaEventWaitDefault) return remember(cudaErrorInvalidValue);
  const std::scoped_lock lock(device_lock());
  const CUevent_st& waited_for = event_of(event, "cudaStreamWaitEvent");
  (void)stream_of(stream, "cudaStreamWaitEvent");
  if (waited_for.last != nullptr) issue_wait(stream, waited_for.last);
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int flags) {
  if (const cudaError_t error = begin("cudaEventCreateWithFlags")) return remember(error);
  const std::scoped_lock lock(device_lock());
  handles().events.push_back(
      {.has_time = (flags & cudaEventDisableTiming) == 0, .origin = origin_of("cudaEventCreateWithFlags")});
  *event = &handles().events.back();
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (const cudaError_t error = begin("cudaEventDestroy")) return remember(error);
  const std::scoped_lock lock(device_lock());
  event_of(event, "cudaEventDestroy").is_destroyed = true;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (const cudaError_t error = begin("cudaEventRecord")) return remember(error);
  const std::scoped_lock lock(device_lock());
  CUevent_st& recorded = event_of(event, "cudaEventRecord");
  recorded.last = std::make_shared<Mark>();
  issue_mark(stream, recorded.last);
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  if (const cudaError_t error = begin("cudaEventQuery")) return remember(error);
  {
    const std::scoped_lock lock(device_lock());
    (void)event_of(handle, "cudaEventQuery");
  }
  run_one();
  const std::scoped_lock lock(device_lock());
  return ready_or_not(is_reached(*handle));
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  if (const cudaError_t error = begin("cudaEventSynchronize")) return remember(error);
  CUstream_st* stream = nullptr;
  {
    const std::scoped_lock lock(device_lock());
    const CUevent_st& event = event_of(handle, "cudaEventSynchronize");
    if (event.last == nullptr) return cudaSuccess;
    stream = event.last->stream;
  }
  run_until(stream, [handle] { return is_reached(*handle); });
  return result_of_work();
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (const cudaError_t error = begin("cudaEventElapsedTime")) return remember(error);
  const std::scoped_lock lock(device_lock());
  const CUevent_st& first = event_of(start, "cudaEventElapsedTime");
  const CUevent_st& second = event_of(end, "cudaEventElapsedTime");
  if (!first.has_time || !second.has_time || first.last == nullptr || second.last == nullptr) {
    return remember(cudaErrorInvalidResourceHandle);
  }
  if (!first.last->reached || !second.last->reached) return remember(cudaErrorNotReady);
  *milliseconds = std::chrono::duration<float, std::milli>(second.last->when - first.last->when).count();
  return cudaSuccess;
}

}  // extern "C"
