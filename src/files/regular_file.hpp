// Files that are what they should be: nothing that is read waits for a writer, nothing that is replaced is
// another's.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace switchyard::files {

// Whether something has this name: a link counts, whatever it names.
bool is_there(const std::filesystem::path& path);

// What stands in the way of reading `path` as a regular file ("it is a pipe", "Permission denied", "it does not
// exist"); empty: nothing. Links are followed. Never waits.
std::string why_unreadable(const std::filesystem::path& path);

// All of a regular file. Throws DataError, with the reason, for what is none, cannot be read, or is larger than
// `most_bytes` (1 GiB: more than any report or record of ours).
std::string read_regular_file(const std::filesystem::path& path, std::size_t most_bytes = std::size_t{1} << 30);

// Whether `path` is a regular file that begins with `mark`. Local.
bool begins_with(const std::filesystem::path& path, std::string_view mark);

// Throws DataError unless `path` is new, or a regular file (no link) that begins with `mark`: only a file of
// ours is replaced. An empty mark: any regular file. `option` is how a user names another place.
void expect_replaceable(const std::filesystem::path& path, std::string_view mark, std::string_view option);

}  // namespace switchyard::files
