// Log lines of this process, on standard error, through spdlog. Standard output is kept for results.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace switchyard::log {

enum class Level { debug, info, warn, error };

// Lines go to standard error from the first one on. Call once the ranks are known: rank, size and host then go
// in front of each line when size > 1.
void set_up(int rank, int size, Level level = Level::info);
void write(Level level, const std::string& line);
// A line, and an error's, without memory, locks or spdlog: for when memory has run out or a stuck thread may
// hold the lock, and for signal handlers.
void say_at_once(std::string_view line) noexcept;
void error_at_once(std::string_view line) noexcept;

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::warn, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace switchyard::log
