#include "simgpu/faults.hpp"

#include <fmt/format.h>

#include <charconv>
#include <map>

#include "simgpu/memory.hpp"
#include "simgpu/settings.hpp"
#include "simgpu/sites.hpp"

namespace simgpu {
namespace {

constexpr int launch_failure = 719;  // cudaErrorLaunchFailure

struct Plan {
  std::string call;  // empty: no failure is planned
  std::string site;  // empty: wherever it is called
  std::int64_t number = 1;
  std::optional<int> code;
  std::int64_t seen = 0;
};

struct Faults {
  Plan plan;
  bool has_failed = false;
  int lost = 0;
  std::map<std::string, std::int64_t, std::less<>> counts;
  std::map<std::string, std::int64_t, std::less<>> calls;                        // never cleared
  std::map<std::string, std::map<std::string, std::string>, std::less<>> sites;  // of calls, with their callers
};

Faults& faults() {
  static auto* const all = new Faults;
  return *all;
}

std::int64_t number_in(std::string_view text, std::string_view whole) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    mistake(fmt::format("the planned failure \"{}\" is not understood (call[@site][:n][:code])", whole));
  }
  return value;
}

// Whether this is the call that the plan names, from the place that it names if it does.
bool is_planned(std::string_view call, std::string_view site = {}) {
  Plan& plan = faults().plan;
  if (plan.call != call || (!plan.site.empty() && plan.site != site)) return false;
  if (++plan.seen != plan.number) return false;
  return faults().has_failed = true;
}

void note(std::string_view call, const std::string& site) {
  auto& sites = faults().sites[std::string(call)];
  if (!sites.contains(site)) sites.emplace(site, describe_callers());
}

void add(std::map<std::string, std::int64_t, std::less<>>& counts, std::string_view name, std::int64_t amount) {
  const auto found = counts.find(name);
  if (found == counts.end()) {
    counts.emplace(name, amount);
  } else {
    found->second += amount;
  }
}

}  // namespace

void plan_failure(const std::string& text) {
  const std::scoped_lock lock(device_lock());
  Plan plan;
  const std::size_t first = text.find(':');
  plan.call = text.substr(0, first);
  if (const std::size_t at = plan.call.find('@'); at != std::string::npos) {
    plan.site = plan.call.substr(at + 1);
    plan.call.resize(at);
  }
  if (first != std::string::npos) {
    const std::string_view rest = std::string_view(text).substr(first + 1);
    const std::size_t second = rest.find(':');
    plan.number = number_in(rest.substr(0, second), text);
    if (second != std::string_view::npos) {
      plan.code = static_cast<int>(number_in(rest.substr(second + 1), text));
    }
  }
  faults().plan = plan;
}

std::optional<int> enter(std::string_view call, int default_code) {
  const std::scoped_lock lock(device_lock());
  (void)settings();  // the first call reads the plan
  add_to_count(call);
  add(faults().calls, call, 1);
  const bool notes_sites = !settings().sites_file.empty();
  std::string site;
  if (notes_sites || !faults().plan.site.empty()) site = calling_site();
  if (notes_sites) note(call, site);
  if (!is_planned(call, site)) return std::nullopt;
  return faults().plan.code.value_or(default_code);
}

bool has_failed_as_planned() {
  const std::scoped_lock lock(device_lock());
  return faults().has_failed;
}

KernelFate next_kernel_fate() {
  if (is_planned("kernel")) {
    lose_device(faults().plan.code.value_or(launch_failure));
    return KernelFate::loses_the_device;
  }
  return is_planned("stall") ? KernelFate::never_ends : KernelFate::runs;
}

void lose_device(int code) {
  const std::scoped_lock lock(device_lock());
  faults().lost = code;
}

int lost_code() {
  const std::scoped_lock lock(device_lock());
  return faults().lost;
}

void add_to_count(std::string_view name, std::int64_t amount) {
  const std::scoped_lock lock(device_lock());
  add(faults().counts, name, amount);
}

std::int64_t calls_of(std::string_view call) {
  const std::scoped_lock lock(device_lock());
  const auto found = faults().calls.find(call);
  return found == faults().calls.end() ? 0 : found->second;
}

std::map<std::string, std::int64_t> counts() {
  const std::scoped_lock lock(device_lock());
  return {faults().counts.begin(), faults().counts.end()};
}

std::int64_t count(const std::string& name) {
  const std::scoped_lock lock(device_lock());
  const auto found = faults().counts.find(name);
  return found == faults().counts.end() ? 0 : found->second;
}

void clear_counts() {
  const std::scoped_lock lock(device_lock());
  faults().counts.clear();
}

std::string counts_as_json() {
  std::string text = "{";
  for (const auto& [name, amount] : counts()) {
    text += fmt::format("{}\"{}\": {}", text.size() > 1 ? ", " : "", name, amount);
  }
  return text + "}\n";
}

std::string sites_as_json() {
  const std::scoped_lock lock(device_lock());
  std::string text = "{";
  for (const auto& [call, sites] : faults().sites) {
    text += fmt::format("{}\"{}\": {{", text.size() > 1 ? ", " : "", call);
    const char* comma = "";
    for (const auto& [site, callers] : sites) {
      text += fmt::format("{}\"{}\": \"{}\"", comma, site, callers);
      comma = ", ";
    }
    text += "}";
  }
  return text + "}\n";
}

}  // namespace simgpu
