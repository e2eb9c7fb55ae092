#include "train/fault_injection.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"

namespace switchyard::train {
namespace {

constexpr const char* variable = "SWITCHYARD_FAULT";

[[noreturn]] void reject(std::string_view text) {
  throw ConfigError(fmt::format(
      "{} = '{}' is no fault (it is RANK:STEP:KIND, with a kind of numeric, unexpected, kill or stop); "
      "unset it: it is for tests",
      variable, text));
}

// Takes the number up to the next colon out of `rest`.
std::optional<index_t> take_number(std::string_view& rest) {
  index_t number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (error != std::errc{} || end == rest.data() + rest.size() || *end != ':' || number < 0)
    return std::nullopt;
  rest.remove_prefix(as_size(end - rest.data()) + 1);
  return number;
}

}  // namespace

FaultInjection FaultInjection::from_environment(WorldRank rank) {
  FaultInjection injection;
  const char* const text = std::getenv(variable);
  if (text == nullptr) return injection;

  std::string_view rest = text;
  const std::optional<index_t> fault_rank = take_number(rest);
  const std::optional<index_t> step = fault_rank ? take_number(rest) : std::nullopt;
  constexpr std::array<std::pair<std::string_view, Kind>, 4> kinds = {{{"numeric", Kind::numeric},
                                                                       {"unexpected", Kind::unexpected},
                                                                       {"kill", Kind::kill},
                                                                       {"stop", Kind::stop}}};
  for (const auto& [name, kind] : kinds) {
    if (!step || rest != name) continue;
    injection.kind_ = kind;
    if (*fault_rank == rank.value) injection.step_ = *step;
    return injection;
  }
  reject(text);
}

void FaultInjection::fail() const {
  switch (kind_) {
    case Kind::numeric:
      throw NumericError(fmt::format(
          "a failure on purpose in step {} ({} asked for it); unset it: it is for tests", step_, variable));
    case Kind::unexpected:
      throw std::runtime_error(
          fmt::format("a failure on purpose in step {} ({} asked for it)", step_, variable));
    case Kind::kill:
      std::raise(SIGKILL);
      return;
    case Kind::stop:
      std::raise(SIGSTOP);
      return;
  }
}

}  // namespace switchyard::train
