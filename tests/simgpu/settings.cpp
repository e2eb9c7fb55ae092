#include "simgpu/settings.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "simgpu/device.hpp"
#include "simgpu/memory.hpp"

namespace simgpu {
namespace {

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

[[noreturn]] void refuse(std::string_view name, std::string_view value) {
  mistake(fmt::format("{} = {} is not understood", name, value));
}

std::uint64_t number_of(std::string_view name, std::string_view value) {
  const auto number = number_in(value);
  if (!number) refuse(name, value);
  return *number;
}

Order order_of(std::string_view name, std::string_view value) {
  if (value == "issue") return {Order::Kind::issue};
  if (value == "latest") return {Order::Kind::latest};
  if (value == "needed") return {Order::Kind::needed};
  if (value == "at_once") return {Order::Kind::at_once};
  return {Order::Kind::seeded, number_of(name, value)};
}

KernelThreads kernel_threads_of(std::string_view name, std::string_view value) {
  constexpr std::string_view with_seed = "fibers:";
  if (value == "serial") return {KernelThreads::Kind::serial};
  if (value == "fibers") return {KernelThreads::Kind::fibers};
  if (!value.starts_with(with_seed)) refuse(name, value);
  return {KernelThreads::Kind::fibers, number_of(name, value.substr(with_seed.size()))};
}

void take_devices(std::string_view name, std::string_view value, Settings& settings) {
  settings.devices = value == "none" ? 0 : static_cast<int>(number_of(name, value));
  if (settings.devices == 0) {
    settings.driver = value == "none" ? Driver::without_devices : Driver::missing;
  }
}

// Calls take(name, value) if the variable is set and not empty.
template <class Take>
void with_variable(const char* name, const Take& take) {
  const char* const value = std::getenv(name);
  if (value != nullptr && *value != '\0') take(name, std::string_view(value));
}

Settings of_environment() {
  Settings result;
  with_variable("SWITCHYARD_SIMGPU_ORDER",
                [&](auto name, auto value) { result.order = order_of(name, value); });
  with_variable("SWITCHYARD_SIMGPU_KERNELS",
                [&](auto name, auto value) { result.kernel_threads = kernel_threads_of(name, value); });
  with_variable("SWITCHYARD_SIMGPU_HOST_POINTERS",
                [&](auto name, auto value) { result.host_pointers = number_of(name, value) != 0; });
  with_variable("SWITCHYARD_SIMGPU_MEMORY",
                [&](auto name, auto value) { result.memory_bytes = number_of(name, value); });
  with_variable("SWITCHYARD_SIMGPU_MULTIPROCESSORS", [&](auto name, auto value) {
    result.multiprocessors = static_cast<int>(number_of(name, value));
  });
  with_variable("SWITCHYARD_SIMGPU_DEVICES", [&](auto name, auto value) { take_devices(name, value, result); });
  with_variable("SWITCHYARD_SIMGPU_COUNTS", [&](auto, auto value) { result.counts_file = value; });
  with_variable("SWITCHYARD_SIMGPU_SITES", [&](auto, auto value) { result.sites_file = value; });
  with_variable("SWITCHYARD_SIMGPU_FAIL", [&](auto, auto value) { plan_failure(std::string(value)); });
  return result;
}

}  // namespace

Settings& settings() {
  static auto* const read = new Settings(of_environment());
  return *read;
}

void set_order(const Order& order) {
  const std::scoped_lock lock(device_lock());
  settings().order = order;
}

void set_kernel_threads(const KernelThreads& threads) {
  const std::scoped_lock lock(device_lock());
  settings().kernel_threads = threads;
}

void allow_host_pointers(bool allowed) {
  const std::scoped_lock lock(device_lock());
  settings().host_pointers = allowed;
}

void set_memory_bytes(std::size_t bytes) {
  const std::scoped_lock lock(device_lock());
  Memory::instance().set_total_bytes(bytes);
}

}  // namespace simgpu
