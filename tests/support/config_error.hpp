// Runs what must fail and returns its message, for tests of what a user reads.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/error.hpp"

namespace switchyard::test {

template <class Failure, class Action>
std::string error_of(const Action& action) {
  try {
    action();
  } catch (const Failure& error) {
    return error.what();
  }
  ADD_FAILURE() << "did not throw the error that it must";
  return {};
}

template <class Action>
std::string config_error_of(const Action& action) {
  return error_of<ConfigError>(action);
}
// The same of data, whose messages say what to try behind a semicolon.
template <class Failure = DataError, class Action>
std::string data_error_of(const Action& action) {
  std::string message = error_of<Failure>(action);
  EXPECT_NE(message.find("; "), std::string::npos) << message;
  return message;
}

}  // namespace switchyard::test
