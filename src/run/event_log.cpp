#include "run/event_log.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/wall_clock.hpp"

namespace switchyard::run {
namespace {

// What says where a record belongs, and is no curve.
bool is_place(std::string_view name) { return name == "step" || name == "epoch" || name == "samples"; }

bool is_loss(std::string_view name) { return name == "loss" || name.ends_with("_loss"); }

// What a step says of the model, not of a mixture in it.
bool is_of_model(std::string_view name) {
  return is_loss(name) || name.ends_with("error") || name == "gradient_norm" || name == "learning_rate";
}

// Of a regulariser that is not in use.
bool is_unused(std::string_view name, double value) {
  return value == 0 && name != "task_loss" && name.ends_with("_loss");
}

void tell(const Json& value, RecordSink& sink) {
  if (value.is_object()) {
    sink.open_object();
    for (const auto& [name, member] : value.items()) {
      sink.name(name);
      tell(member, sink);
    }
    sink.close_object();
  } else if (value.is_array()) {
    sink.open_array();
    for (const Json& element : value) tell(element, sink);
    sink.close_array();
  } else if (value.is_number_integer()) {
    sink.add(value.get<index_t>());
  } else if (value.is_number()) {
    sink.add(value.get<double>());
  } else if (value.is_string()) {
    sink.add(std::string_view(value.get_ref<const std::string&>()));
  }
}

}  // namespace

EventLog::EventLog(const std::filesystem::path& folder, index_t steps_done)
    : file_(folder, steps_done + 1, wall_milliseconds()) {}

void EventLog::write_step(const StepRecord& record, const moe::Statistics& statistics,
                          const PhaseClock::Seconds& seconds) {
  now_ = record.at;
  run::write_step(*this, record, statistics, seconds);
}

void EventLog::write_evaluation(const EvaluationRecord& record, const Json& object) {
  now_ = record.at;
  begin();
  for (const auto& [of, member] : object.items()) {
    name(of);
    tell(member, *this);
  }
  end();
}

void EventLog::begin() {
  split_.clear();
  layer_.clear();
  in_time_ = false;
}

void EventLog::end() { file_.write(step_, now_); }

void EventLog::open_object() { in_time_ = name_ == "time"; }

void EventLog::close_object() {
  in_time_ = false;
  layer_.clear();
}

void EventLog::open_array() {
  if (name_ == "layers") return;  // of objects
  if (depth_ == 0) {
    values_.clear();
    rows_ = 0;
  } else {
    ++rows_;
  }
  ++depth_;
}

void EventLog::close_array() {
  if (depth_ == 0) return;
  if (--depth_ == 0) add_array();
}

void EventLog::add(index_t value) {
  if (name_ == "step" && !in_time_) step_ = value;
  add(static_cast<double>(value));
}

void EventLog::add(double value) {
  if (depth_ > 0) {
    values_.push_back(value);
  } else if (in_time_ || !(is_place(name_) || is_unused(name_, value))) {
    add_scalar(value);
  }
}

void EventLog::add(std::string_view value) {
  if (name_ == "split") split_ = value;
  if (name_ == "name") layer_.assign(1, '/').append(value);
}

// `group` is that of a step; evaluations have one for each split.
std::string_view EventLog::tag(std::string_view group) {
  if (!is_evaluation()) {
    tag_ = group;
  } else {
    tag_ = split_;
    if (in_time_) tag_ += "/time";
  }
  tag_.append(1, '/').append(name_).append(layer_);
  return tag_;
}

void EventLog::add_scalar(double value) {
  file_.add_scalar(tag(in_time_ ? "time" : is_of_model(name_) ? "train" : "gate"), value);
}

void EventLog::add_array() {
  if (name_ == "dead_experts") return add_scalar(static_cast<double>(values_.size()));
  if (values_.empty()) return;  // of texts, or of nothing
  if (rows_ > 0) return add_picture();
  file_.add_histogram(tag("experts"), values_);
}

// A row of the table is dark where most of its samples went.
void EventLog::add_picture() {
  constexpr index_t side = 384;  // pixels, about
  const index_t columns = std::ssize(values_) / rows_;
  shades_.assign(std::ssize(values_), 0);
  for (index_t row = 0; row < rows_; ++row) {
    const Span<const double> counts = Span<const double>(values_).subspan(row * columns, columns);
    const double all = std::accumulate(counts.begin(), counts.end(), 0.0);
    if (all <= 0) continue;
    for (index_t c = 0; c < columns; ++c)
      shades_[row * columns + c] = static_cast<std::uint8_t>(std::lround(255 * counts[c] / all));
  }
  file_.add_picture(tag("experts"), {.rows = rows_,
                                     .columns = columns,
                                     .shades = shades_,
                                     .cell = std::clamp<index_t>(side / std::max(rows_, columns), 1, 24)});
}

}  // namespace switchyard::run
