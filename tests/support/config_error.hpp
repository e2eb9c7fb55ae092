// Runs what must fail with a ConfigError and returns its message, for tests of what a user reads.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/error.hpp"

namespace switchyard::test {

template <class Action>
std::string config_error_of(const Action& action) {
  try {
    action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  ADD_FAILURE() << "did not throw a ConfigError";
  return {};
}

}  // namespace switchyard::test
