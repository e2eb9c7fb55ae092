// What a user can do about a file that the system refuses.
#pragma once

#include <filesystem>
#include <string_view>

#include "files/file.hpp"

namespace switchyard::files {

// How a user chooses the place of a run's files.
inline constexpr std::string_view run_place = "--run.dir=PATH";

// DataError: cannot open 'a/b' (No space left on device); what to try. `place` is the option that
// chooses another place.
[[noreturn]] void throw_data_error(const SystemFailure& failure, std::string_view place = run_place);

// Runs `action`, and turns what the system refuses there into that DataError.
template <class Action>
decltype(auto) with_remedy(std::string_view place, const Action& action) {
  try {
    return action();
  } catch (const SystemFailure& failure) {
    throw_data_error(failure, place);
  }
}

}  // namespace switchyard::files
