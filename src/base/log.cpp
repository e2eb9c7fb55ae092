#include "base/log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "base/host_name.hpp"

namespace switchyard::log {
namespace {

spdlog::level::level_enum to_spdlog(Level level) {
  constexpr std::array levels = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                                 spdlog::level::err};
  return levels[static_cast<std::size_t>(level)];
}

// What stands before each line.
std::array<char, 512> name_of_process{"switchyard"};

// In one piece, so that no other process's line comes between.
void write_at_once(std::string_view before, std::string_view line) noexcept {
  const auto part = [](std::string_view text) { return iovec{const_cast<char*>(text.data()), text.size()}; };
  const std::array parts = {part(name_of_process.data()), part(before), part(line), part("\n")};
  [[maybe_unused]] const ssize_t lost = ::writev(STDERR_FILENO, parts.data(), static_cast<int>(parts.size()));
}

}  // namespace

void set_up(int rank, int size, Level level) {
  auto logger =
      std::make_shared<spdlog::logger>("switchyard", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_level(to_spdlog(level));
  const std::string name =
      size > 1 ? fmt::format("switchyard[{}/{} {}]", rank, size, host_name()) : "switchyard";
  logger->set_pattern(name + " %^%l%$: %v");
  *fmt::format_to_n(name_of_process.data(), name_of_process.size() - 1, "{}", name).out = '\0';
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
}

void write(Level level, const std::string& line) { spdlog::log(to_spdlog(level), "{}", line); }

void say_at_once(std::string_view line) noexcept { write_at_once(": ", line); }

void error_at_once(std::string_view line) noexcept { write_at_once(" error: ", line); }

}  // namespace switchyard::log
