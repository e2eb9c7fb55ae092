#include "events/event_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <system_error>
#include <vector>

#include "base/host_name.hpp"
#include "events/crc32c.hpp"

namespace switchyard::events {
namespace {

// Numbers of fields in TensorFlow's event.proto and summary.proto, which nobody may change.
namespace event {
constexpr int wall_time = 1, step = 2, file_version = 3, summary = 5, session_log = 7;
}
namespace session_log {
constexpr int status = 1;
constexpr std::int64_t start = 1;
}  // namespace session_log
namespace summary {
constexpr int value = 1;
}
namespace value {
constexpr int tag = 1, simple_value = 2, image = 4, histogram = 5;
}
namespace image {
constexpr int height = 1, width = 2, colour_space = 3, encoded = 4;
constexpr std::int64_t rgb = 3;
}  // namespace image
namespace histogram {
constexpr int min = 1, max = 2, count = 3, sum = 4, sum_squares = 5, bucket_limit = 6, bucket = 7;
}

constexpr std::string_view name_begin = "events.out.tfevents.";

// What the name of an event file says; 0 for another file.
std::int64_t seconds_in(const std::string& name) {
  std::int64_t seconds = 0;
  if (name.starts_with(name_begin))
    std::from_chars(name.data() + name_begin.size(), name.data() + name.size(), seconds);
  return seconds;
}

// A run that goes on within a second, or after the clock was set back, comes last all the same.
std::filesystem::path new_file(const std::filesystem::path& folder, std::int64_t now) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) files::throw_data_error(files::SystemFailure("make the folder", folder, error.value()));
  std::int64_t seconds = now / 1000;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    seconds = std::max(seconds, seconds_in(entry->path().filename().string()) + 1);
  if (error) files::throw_data_error(files::SystemFailure("look into", folder, error.value()));
  return folder / fmt::format("{}{:010}.{}.{}", name_begin, seconds, host_name(), ::getpid());
}

template <class Value>
void put(std::string& out, Value value) {
  char bytes[sizeof(Value)];
  std::memcpy(bytes, &value, sizeof(Value));
  out.append(bytes, sizeof(Value));
}

}  // namespace

EventFile::EventFile(const std::filesystem::path& folder, index_t first_step, std::int64_t now)
    : file_(new_file(folder, now), O_EXCL) {
  begin_event(0, now);
  event_.add_bytes(event::file_version, "brain.Event:2");
  write_frame(event_.bytes());
  begin_event(first_step, now);
  part_.clear();
  part_.add_integer(session_log::status, session_log::start);
  event_.add_message(event::session_log, part_);
  write_frame(event_.bytes());
}

void EventFile::begin_event(index_t step, std::int64_t now) {
  event_.clear();
  event_.add_double(event::wall_time, 1e-3 * static_cast<double>(now));
  event_.add_integer(event::step, step);
}

void EventFile::begin_value(std::string_view tag) {
  value_.clear();
  value_.add_bytes(value::tag, tag);
  part_.clear();
}

void EventFile::add_scalar(std::string_view tag, double value) {
  begin_value(tag);
  value_.add_float(value::simple_value, static_cast<float>(value));
  summary_.add_message(summary::value, value_);
}

void EventFile::add_histogram(std::string_view tag, Span<const double> values) {
  begin_value(tag);
  double count = 0;
  double sum = 0;
  double squares = 0;
  limits_.resize(std::ssize(values));
  for (index_t i = 0; i < std::ssize(values); ++i) {
    const auto number = static_cast<double>(i);
    limits_[i] = number + 0.5;
    count += values[i];
    sum += values[i] * number;
    squares += values[i] * number * number;
  }
  part_.add_double(histogram::min, -0.5);
  part_.add_double(histogram::max, static_cast<double>(values.size()) - 0.5);
  part_.add_double(histogram::count, count);
  part_.add_double(histogram::sum, sum);
  part_.add_double(histogram::sum_squares, squares);
  part_.add_doubles(histogram::bucket_limit, limits_);
  part_.add_doubles(histogram::bucket, values);
  value_.add_message(value::histogram, part_);
  summary_.add_message(summary::value, value_);
}

void EventFile::add_picture(std::string_view tag, const ShadeTable& table) {
  begin_value(tag);
  part_.add_integer(image::height, table.rows * table.cell);
  part_.add_integer(image::width, table.columns * table.cell);
  part_.add_integer(image::colour_space, image::rgb);
  part_.add_bytes(image::encoded, png_of(table));
  value_.add_message(value::image, part_);
  summary_.add_message(summary::value, value_);
}

void EventFile::write(index_t step, std::int64_t now) {
  begin_event(step, now);
  event_.add_message(event::summary, summary_);
  summary_.clear();
  write_frame(event_.bytes());
}

// TFRecord: the length, its checksum, the bytes, their checksum.
void EventFile::write_frame(std::string_view event) {
  frame_.clear();
  put(frame_, static_cast<std::uint64_t>(event.size()));
  put(frame_, masked(crc32c(frame_)));
  frame_ += event;
  put(frame_, masked(crc32c(event)));
  file_.append(frame_);
}

}  // namespace switchyard::events
