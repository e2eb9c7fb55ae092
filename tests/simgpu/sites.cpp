#include "simgpu/sites.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <unordered_map>

#include "simgpu/memory.hpp"

namespace simgpu {
namespace {

// From main to the last of ours there are fewer.
constexpr std::size_t most_frames = 64;

class Stack {
 public:
  Stack() : count_(::backtrace(frames_.data(), static_cast<int>(frames_.size()))) {}
  std::span<void* const> frames() const { return {frames_.data(), static_cast<std::size_t>(count_)}; }

 private:
  std::array<void*, most_frames> frames_{};
  int count_;
};

// Where it lies in the file that it was loaded from.
std::uintptr_t offset_in_file(void* address) {
  static auto* const known = new std::unordered_map<void*, std::uintptr_t>;
  const auto [found, is_new] = known->try_emplace(address, 0);
  if (is_new) {
    Dl_info info{};
    const bool has_file = ::dladdr(address, &info) != 0;
    const auto base = has_file ? reinterpret_cast<std::uintptr_t>(info.dli_fbase) : 0;
    found->second = reinterpret_cast<std::uintptr_t>(address) - base;
  }
  return found->second;
}

std::string name_of(void* address) {
  Dl_info info{};
  if (::dladdr(address, &info) == 0 || info.dli_sname == nullptr) return {};
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status), std::free);
  std::string name = status == 0 ? text.get() : info.dli_sname;
  return name.substr(0, name.find('('));
}

}  // namespace

std::string calling_site() {
  const std::scoped_lock lock(device_lock());
  std::uint64_t hash = 14695981039346656037U;  // FNV-1a
  for (void* const frame : Stack().frames()) {
    hash ^= offset_in_file(frame);
    hash *= 1099511628211U;
  }
  return fmt::format("{:016x}", hash);
}

std::string describe_callers() {
  std::string text;
  for (void* const frame : Stack().frames()) {
    const std::string name = name_of(frame);
    if (name.empty() || name.starts_with("simgpu::")) continue;
    text += (text.empty() ? "" : " < ") + name;
    if (name == "main") break;
  }
  return text;
}

}  // namespace simgpu
