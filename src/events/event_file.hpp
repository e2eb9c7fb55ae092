// A file of events, as TensorBoard reads it: scalars, histograms and pictures by step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "base/span.hpp"
#include "events/message.hpp"
#include "events/png.hpp"
#include "files/appended_file.hpp"

namespace switchyard::events {

// FOLDER/events.out.tfevents.SECONDS.HOST.PROCESS: frames of TFRecord, each an Event of TensorFlow's
// event.proto. A folder holds a file for each process of a run; readers take them in the order of their names,
// and forget what earlier files say of `first_step` and later steps (SessionLog::START), so that a run that
// goes on from a checkpoint shows no step twice. Used by one thread; an event no longer than one before
// allocates nothing.
class EventFile {
 public:
  // Makes the folder and a new file in it, whose name comes behind those that are there. `now`: milliseconds
  // since 1970, here and below. Throws DataError.
  EventFile(const std::filesystem::path& folder, index_t first_step, std::int64_t now);

  // Values of the event under way. TensorBoard keeps scalars as float32.
  void add_scalar(std::string_view tag, double value);
  // A bar for each of the values, from its number - 0.5 to its number + 0.5.
  void add_histogram(std::string_view tag, Span<const double> values);
  void add_picture(std::string_view tag, const ShadeTable& table);
  // Writes the event and begins the next one. Throws DataError, as AppendedFile::append().
  void write(index_t step, std::int64_t now);

  void sync() { file_.sync(); }

 private:
  void write_frame(std::string_view event);
  void begin_event(index_t step, std::int64_t now);
  void begin_value(std::string_view tag);

  files::AppendedFile file_;
  Message value_, part_;  // of the summary, and of it
  Message summary_, event_;
  std::string frame_;
  Vector<double> limits_;  // of a histogram
};

}  // namespace switchyard::events
