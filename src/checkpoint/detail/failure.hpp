// Why a checkpoint cannot be read, and the DataError that becomes of it.
#pragma once

#include <filesystem>
#include <string>

#include "files/file.hpp"

namespace switchyard::checkpoint::detail {

// A reason in a few words, without the file's name or a remedy: inside detail/ only. The public functions turn
// it into a DataError that adds both (see `reading` below and save.cpp).
using files::Failure;

// Throws Failure("what: No space left on device") for the current errno.
[[noreturn]] void fail_with_errno(const std::string& what);

// Throws the DataError of a checkpoint that cannot be read: `reason` with the file's name and what to try.
[[noreturn]] void throw_unreadable(const std::filesystem::path& file, const std::string& reason);

// Runs `action`, which reads `file`, and turns a Failure into that DataError.
template <class Action>
decltype(auto) reading(const std::filesystem::path& file, Action&& action) {
  try {
    return action();
  } catch (const Failure& failure) {
    throw_unreadable(file, failure.what());
  }
}

}  // namespace switchyard::checkpoint::detail
