#include "base/log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "base/host_name.hpp"

namespace switchyard::log {
namespace {

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warn:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

// What stands before an error's line.
std::array<char, 512> error_prefix{"switchyard error: "};

}  // namespace

void set_up(int rank, int size, Level level) {
  auto logger =
      std::make_shared<spdlog::logger>("switchyard", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_level(to_spdlog(level));
  const std::string name =
      size > 1 ? fmt::format("switchyard[{}/{} {}]", rank, size, host_name()) : "switchyard";
  logger->set_pattern(name + " %^%l%$: %v");
  *fmt::format_to_n(error_prefix.data(), error_prefix.size() - 1, "{} error: ", name).out = '\0';
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
}

void write(Level level, const std::string& line) { spdlog::log(to_spdlog(level), "{}", line); }

void error_at_once(std::string_view line) noexcept {
  for (const std::string_view part : {std::string_view(error_prefix.data()), line, std::string_view("\n")}) {
    [[maybe_unused]] const ssize_t lost = ::write(STDERR_FILENO, part.data(), part.size());
  }
}

}  // namespace switchyard::log
