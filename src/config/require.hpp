// What validation is written with.
#pragma once

#include <fmt/format.h>

#include <utility>

#include "base/error.hpp"

namespace switchyard::config {

// ConfigError unless it holds: what is wrong (why); what to try.
template <class... Args>
void require(bool holds, fmt::format_string<Args...> message, Args&&... args) {
  if (!holds) throw ConfigError(fmt::format(message, std::forward<Args>(args)...));
}

}  // namespace switchyard::config
