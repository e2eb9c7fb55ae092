// Checks of what a caller must hold (SY_EXPECTS, always on) and of what we believe (SY_ASSERT, debug builds).
// Neither may do work that the program needs.
#pragma once

#include <fmt/format.h>

#include <string>

namespace switchyard {
[[noreturn]] void contract_violated(const char* condition, const char* file, int line,
                                    const std::string& message);
}

// SY_EXPECTS(condition, "format {}", values...): throws ContractViolation with the condition, place and values.
#define SY_EXPECTS(condition, ...)                                                                 \
  do {                                                                                             \
    if (!(condition)) [[unlikely]]                                                                 \
      ::switchyard::contract_violated(#condition, __FILE__, __LINE__, ::fmt::format(__VA_ARGS__)); \
  } while (false)

#ifdef NDEBUG
#define SY_ASSERT(condition) ((void)sizeof(!(condition)))
#else
#define SY_ASSERT(condition)                                                                             \
  do {                                                                                                   \
    if (!(condition)) ::switchyard::contract_violated(#condition, __FILE__, __LINE__, "internal check"); \
  } while (false)
#endif
