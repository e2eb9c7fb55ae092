// New content of a file, which appears whole or not at all: it is written beside the file and renamed over it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "files/file.hpp"

namespace switchyard::files {

// What stands behind the name of a file that is being written.
inline constexpr std::string_view temporary_suffix = ".tmp";

// Where several processes may write one file, each a whole one: ".4711.tmp".
std::string suffix_of_process();

// The name of such a file, which is removed again unless it was published.
class TemporaryName {
 public:
  // Names it only; the file is created by whoever writes it.
  explicit TemporaryName(std::filesystem::path final_path, std::string_view suffix = temporary_suffix);
  ~TemporaryName();
  TemporaryName(const TemporaryName&) = delete;
  TemporaryName& operator=(const TemporaryName&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const std::filesystem::path& final_path() const { return final_path_; }
  // Gives the file its final name, replacing what has this name. Its content should be on the disk, and the
  // folder has to be synced afterwards (sync_folder). Throws SystemFailure.
  void publish();

 private:
  std::filesystem::path final_path_;
  std::filesystem::path path_;
  bool published_ = false;
};

// A file of the user's, written whole. Throws DataError; `place` is the option that chooses another place.
class ReplacementFile {
 public:
  explicit ReplacementFile(const std::filesystem::path& path, std::string_view place = run_place);

  void write(std::string_view bytes);
  // Afterwards the new content survives a power cut.
  void publish();

 private:
  std::string_view place_;  // a constant's text
  TemporaryName name_;      // outlives file_
  File file_;
};

// All of it at once.
void replace_file(const std::filesystem::path& path, std::string_view bytes,
                  std::string_view place = run_place);

// Removes a file of ours if it is there; a failure is a warning.
void remove_or_warn(const std::filesystem::path& file);

}  // namespace switchyard::files
