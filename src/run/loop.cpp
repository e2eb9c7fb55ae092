#include "run/loop.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/stop_signals.hpp"
#include "base/wall_clock.hpp"
#include "comm/agreement.hpp"
#include "comm/watchdog.hpp"
#include "console/result_text.hpp"
#include "device/thread_pool.hpp"
#include "files/regular_file.hpp"
#include "ops/reference_product.hpp"
#include "run/validate.hpp"
#include "train/evaluation.hpp"

namespace switchyard::run {
namespace {

constexpr std::string_view signal_asked = "a signal asked for it";

index_t schedule_horizon(const Config& config, const train::BatchLoader& loader) {
  if (config.optim.schedule_steps > 0) return config.optim.schedule_steps;
  return loader.training().steps(config.train.epochs);
}

index_t final_step(const Config& config, const train::BatchLoader& loader) {
  const index_t all = loader.training().steps(config.train.epochs);
  return config.train.max_steps > 0 ? std::min(all, config.train.max_steps) : all;
}

// What the watchdog, if there is one, does with its sentence while this lives.
class LastWords {
 public:
  LastWords(comm::Watchdog* watchdog, comm::Watchdog::LastWords words) : watchdog_(watchdog) {
    if (watchdog_ != nullptr) watchdog_->set_last_words(std::move(words));
  }
  ~LastWords() {
    if (watchdog_ != nullptr) watchdog_->set_last_words({});
  }
  LastWords(const LastWords&) = delete;
  LastWords& operator=(const LastWords&) = delete;

 private:
  comm::Watchdog* watchdog_;
};

}  // namespace

Loop::Loop(const Config& config, const data::Dataset& dataset, comm::Resources resources,
           const RunFolder* folder)
    : config_(config),
      resources_(resources),
      folder_(folder),
      checkpoint_folder_(std::filesystem::path(config.run.dir) / "checkpoints"),
      loader_(config.train, config.run.seed, dataset, resources),
      model_(model::make_model(model_options(config), train::task_of(dataset), resources)),
      optimiser_(config.optim, model_->norm_table(), model_->slices(), resources.context.memory()),
      state_{.horizon = schedule_horizon(config, loader_),
             .best = model_->worst_score(),
             .data = dataset.identity()},
      last_step_(final_step(config, loader_)),
      step_(config.optim, state_.horizon, {loader_, *model_, optimiser_}, resources),
      last_batch_(model_->statistics()),
      out_(&std::cout),
      collapse_watch_(importance_weight(), model_options(config).frozen) {
  model_->values_changed();
}

void Loop::restore(const checkpoint::Reader& reader) {
  state_ = state_of(reader, config_, loader_.dataset().identity(), state_.best.name);
  if (config_.train.max_steps > 0 && config_.train.max_steps < state_.step) {
    throw ConfigError(
        fmt::format("train.max_steps = {} but the run has done {} steps (a run does not go back); give at "
                    "least {}, or 0 for no limit",
                    config_.train.max_steps, state_.step, state_.step));
  }
  load_arrays(reader, resources_.context, *model_, &optimiser_);
  load_last_step(reader, last_batch_);
  model_->values_changed();
  saved_step_ = state_.step;
  if (state_.horizon != schedule_horizon(config_, loader_)) {
    throw DataError(fmt::format(
        "the checkpoint's schedule ends at step {} and this configuration's at {} (the learning rates would be "
        "others); leave train.epochs and optim.schedule_steps as the run has them",
        state_.horizon, schedule_horizon(config_, loader_)));
  }
}

Outcome Loop::run() {
  // A rank that is waited for too long is noted as any other end: by the watchdog's thread, while this one is
  // stuck in a wait.
  const LastWords noted(folder_ != nullptr ? resources_.communicator.watchdog() : nullptr,
                        [this](std::string_view said) {
                          note_end(ErrorKind::timeout, std::string(said));
                          note_trace(false);
                        });
  try {
    Outcome outcome = train();
    write_trace();
    return outcome;
  } catch (const AgreedError& error) {
    note_trace(true);
    if (error.kind() == ErrorKind::numeric) end_without_numbers(error);
    note_end(error.kind(), error.what());
    throw;
  } catch (const Error& error) {
    note_end(error.kind(), error.what());
    note_trace(false);
    throw;
  }
}

void Loop::start_trace() {
  if (!config_.output.trace) return;
  comm::agree(resources_.communicator, [&] {
    if (folder_ != nullptr) files::expect_replaceable(folder_->trace_file(), Trace::mark, files::run_place);
  });
  trace_ = std::make_unique<Trace>(resources_.communicator, config_.output.trace_steps, state_.step,
                                   model_->statistics());
}

// Collective. Once: a trace that could not be written is not tried again.
void Loop::write_trace() {
  const std::unique_ptr<Trace> trace = std::move(trace_);
  if (trace) trace->write(std::filesystem::path(config_.run.dir) / "trace.json");
}

// What a run that fails leaves of it. The others take part where all have failed alike.
void Loop::note_trace(bool with_others) {
  if (!trace_ || !(with_others || folder_ != nullptr)) return;
  try {
    if (with_others) return write_trace();
    trace_->write_alone(folder_->trace_file());
  } catch (const std::exception&) {  // most likely for the reason of the end itself
    if (folder_ != nullptr) log::warn("trace.json could not be written");
  }
}

// Every end leaves a summary, where the root still can write one.
void Loop::note_end(ErrorKind kind, const std::string& message) {
  try {
    write_summary({exit_code(kind), fmt::format("{}: {}", name(kind), message)});
  } catch (const std::exception&) {  // most likely for the reason of the end itself
    log::warn("the end could not be noted in summary.json");
  }
}

// Says what is not finite, and what can be done about it. Collective: all ranks have the same error.
void Loop::end_without_numbers(const Error& error) {
  std::string broken = first_not_finite(resources_.communicator, resources_.context, *model_, optimiser_);
  // Arrays change in updates alone, the last of which was that of state_.step.
  const bool is_update = !broken.empty() && state_.step > 0;
  const bool is_evaluation = broken.empty() && state_.step == step_under_way_;
  const std::string where = is_evaluation ? fmt::format("evaluation after step {}", state_.step)
                                          : fmt::format("step {}", is_update ? state_.step : step_under_way_);
  if (broken.empty()) broken = "all weights are finite: an input, an activation or a derivative overflowed";
  const std::string newest =
      saved_step_ >= 0 ? checkpoint::path_of(checkpoint_folder_, saved_step_).string() : std::string();
  const std::string advice =
      newest.empty()
          ? fmt::format(
                "there is no checkpoint yet; look at {}scales and weights of losses that were set, and at "
                "optim.learning_rate, optim.warmup_steps, optim.clip_norm and optim.epsilon, and start again",
                data::reads_images(config_.data) ? "the data (data.mean, data.standard_deviation), at " : "")
          : fmt::format(
                "the newest checkpoint is finite ('{}'): to train on from it with another optim.learning_rate, "
                "optim.clip_norm or optim.epsilon start a new run with --init.from={} (`switchyard resume` "
                "would repeat this, unless the machine is at fault)",
                newest, newest);
  const std::string message = fmt::format("{}: {} ({}); {}", where, error.what(), broken, advice);
  note_end(ErrorKind::numeric, message);
  throw_agreed(ErrorKind::numeric, message);
}

// All ranks at once, so that a core is as fast as it is where all are busy. Of processors alone.
void Loop::measure_matrix_rate() {
  if (is_over() || resources_.context.device() != device::DeviceKind::cpu) return;
  std::array rates{static_cast<std::int64_t>(ops::measured_matrix_rate()) * resources_.context.pool().size()};
  resources_.communicator.all_reduce_sum(rates);
  matrix_rate_ = static_cast<double>(rates[0]);
}

Outcome Loop::train() {
  measure_matrix_rate();
  start_trace();
  if (folder_ != nullptr) {
    cut_metrics(folder_->metrics_file(), state_.step, config_.metrics.every_steps);
    if (state_.best_step >= 0) checkpoint::point_best(checkpoint_folder_, state_.best_step);
    metrics_ = std::make_unique<MetricsWriter>(folder_->metrics_file());
    if (config_.output.tensorboard) events_ = std::make_unique<EventLog>(folder_->event_folder(), state_.step);
    progress_ = std::make_unique<console::ProgressLine>(
        *out_, console::ProgressLine::Options{.epochs = config_.train.epochs,
                                              .steps = last_step_,
                                              .first_step = state_.step,
                                              .steps_per_line = config_.train.log_every_steps,
                                              .samples = loader_.dataset().counted(),
                                              .samples_per_second_limit = matrix_limit(),
                                              .terminal = console::detect_terminal(1)});
  }
  if (!state_.evaluated) {
    if (!evaluate_validation()) return stopped(signal_asked);
    saved_step_ = -1;  // what is stored does not know of this evaluation
    save();
  }
  while (state_.step < last_step_ && !state_.ended) {
    train_one_step();
    if (step_.pending() > 0) continue;  // nothing is due here
    // Not at a last step between two evaluations: the run may be resumed, and must then hold what a run
    // that did not stop there holds. finish() evaluates it for the summary alone.
    if (is_evaluating_step(state_.step)) evaluate_validation();
    const bool stopping = agreed_.stop_requested || agreed_.out_of_time || !state_.evaluated;
    if (is_saving_step(state_.step) || stopping || is_best_ || state_.step == last_step_ || state_.ended)
      save();
    const bool is_last = state_.step == last_step_ || state_.ended;
    if (stopping && (!is_last || !state_.evaluated))
      return stopped(agreed_.out_of_time ? "run.max_minutes is over" : signal_asked);
  }
  return finish();
}

Outcome Loop::stopped(std::string_view why) {
  Outcome outcome{ExitCode::stopped_early,
                  fmt::format("stopped after step {} of {} ({}); go on with `switchyard resume {}`",
                              state_.step, last_step_, why, config_.run.dir)};
  write_summary(outcome);
  return outcome;
}

bool Loop::is_over() const { return state_.step >= last_step_ || state_.ended; }

bool Loop::epoch_ends(index_t step) const { return loader_.training().ends_epoch(step); }

bool Loop::is_evaluating_step(index_t step) const {
  const index_t every = config_.train.evaluate_every_steps;
  return every > 0 ? step % every == 0 : epoch_ends(step);
}

bool Loop::is_saving_step(index_t step) const {
  return config_.checkpoint.every_steps > 0 ? step % config_.checkpoint.every_steps == 0 : epoch_ends(step);
}

// Whether something is done behind step `step` (from 1) for which its report must be there: alike on all ranks,
// of the configuration and the step alone. The first report of a run is asked for at once, so that what is
// wrong with it is seen before more is done.
bool Loop::is_report_urgent(index_t step) const {
  const train::Options& train = config_.train;
  return !step_.may_be_late() || !has_report_ || step == last_step_ || is_evaluating_step(step) ||
         is_saving_step(step) || train.stop_loss > 0 || train.stop_loss_rise > 0 || trace_ != nullptr;
}

// Enqueues a step, and takes its report, or that of the one before: a GPU then works while it is read. A stop
// that is found late ends the run one step later than it would have; a failure leaves parameters and moments as
// they were before the step that failed (train::Step says why). All ranks read the same reports, so they do
// alike.
void Loop::train_one_step() {
  const index_t step = state_.step + step_.pending();
  const bool out_of_time = config_.run.max_minutes > 0 && elapsed_seconds() > 60.0 * config_.run.max_minutes;
  step_under_way_ = state_.step + 1;  // whose failure is next to be seen
  step_.enqueue(step, {stop_requested(), out_of_time});
  const index_t late = is_report_urgent(step + 1) ? 0 : 1;
  while (step_.pending() > late) take_report();
  const bool is_stopping = agreed_.stop_requested || agreed_.out_of_time;
  while (is_stopping && step_.pending() > 0) take_report();
}

void Loop::take_report() {
  step_under_way_ = state_.step + 1;
  const train::StepReport& report = step_.report();
  state_.step = report.step + 1;
  has_report_ = true;
  agreed_ = report.agreed;
  state_.last_loss = report.loss();
  last_batch_ = report.statistics;
  training_seconds_ += std::accumulate(report.seconds.begin(), report.seconds.end(), 0.0);
  trained_samples_ += report.statistics.samples();
  is_best_ = false;
  look_for_end(report.loss());
  if (trace_) trace_->add_loads(state_.step, last_batch_);
  if (folder_ != nullptr) record(report);
}

void Loop::record(const train::StepReport& report) {
  const index_t epoch = loader_.training().epoch_number(state_.step);
  if (state_.step % config_.metrics.every_steps == 0) {
    const StepRecord record{.step = state_.step,
                            .epoch = epoch,
                            .loss = report.loss(),
                            .regularisers = report.regularisers,
                            .gradient_norm = report.agreed.gradient_norm,
                            .learning_rate = report.learning_rate,
                            .at = wall_milliseconds()};
    metrics_->write_step(record, report.statistics, report.seconds);
    if (events_) events_->write_step(record, report.statistics, report.seconds);
  }
  progress_->update({.epoch = epoch,
                     .step = state_.step,
                     .samples = report.statistics.samples(),
                     .loss = report.loss(),
                     .error = report.statistics.is_regression() ? report.statistics.mean_squared_error()
                                                                : report.statistics.error(),
                     .seconds = std::accumulate(report.seconds.begin(), report.seconds.end(), 0.0),
                     .error_name = report.statistics.is_regression() ? "MSE" : "error"});
}

void Loop::look_for_end(double loss) {
  const train::Options& train = config_.train;
  state_.smallest_loss = std::min(state_.smallest_loss, loss);
  if (state_.step < train.stop_after_steps) return;
  state_.ended = (train.stop_loss > 0 && loss <= train.stop_loss) ||
                 (train.stop_loss_rise > 0 && loss > state_.smallest_loss + train.stop_loss_rise);
}

// False if a stop cut it off: state_.evaluated then says that it is yet to be made.
std::optional<moe::Statistics> Loop::evaluate(data::Split split) {
  const auto begin = Timeline::Clock::now();
  std::optional<moe::Statistics> found = train::evaluate(split, loader_, *model_, resources_);
  if (trace_) trace_->add(Timeline::Kind::evaluation, state_.step, begin);
  return found;
}

bool Loop::evaluate_validation() {
  state_.evaluated = true;
  if (loader_.dataset().size(data::Split::validation) == 0) return true;
  const auto begin = std::chrono::steady_clock::now();
  std::optional<moe::Statistics> found = evaluate(data::Split::validation);
  state_.evaluated = found.has_value();
  if (!found) return false;
  validation_ = std::move(found);
  validation_step_ = state_.step;
  if (const model::Score score = model_->score(*validation_); score.value < state_.best.value) {
    state_.best = score;
    state_.best_step = state_.step;
    is_best_ = true;
  }
  if (folder_ == nullptr) return true;
  const index_t epoch = loader_.training().epoch_number(state_.step);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  const EvaluationRecord record{"validation", state_.step, epoch, seconds.count(), wall_milliseconds()};
  const Json object = evaluation_record_object(record, *validation_);
  metrics_->write(object);
  if (events_) events_->write_evaluation(record, object);
  const std::string when =
      epoch_ends(state_.step) ? fmt::format("epoch {}", epoch) : fmt::format("step {}", state_.step);
  progress_->print(console::evaluation_line(when, "validation", *validation_));
  if (const std::string warning = collapse_watch_.observe(*validation_); !warning.empty())
    progress_->print(warning);
  return true;
}

void Loop::save() {
  if (saved_step_ == state_.step) return;
  const auto begin = Timeline::Clock::now();
  comm::agree(resources_.communicator, [&] {
    // What is not finite is never published: not even as `best`, or as one of the last.
    train::expect_finite_updates(optimiser_, resources_.context);
    expect_finite_state(*model_, resources_.context);
    if (folder_ != nullptr) folder_->expect_held();
    if (metrics_) metrics_->sync();
    if (events_) events_->sync();
  });
  save_checkpoint(resources_.communicator, resources_.context, checkpoint_folder_,
                  {config_, state_, *model_, optimiser_, last_batch_, loader_.dataset()},
                  {.keep_last = config_.checkpoint.keep_last, .is_best = is_best_});
  saved_step_ = state_.step;
  if (trace_) trace_->add(Timeline::Kind::checkpoint, state_.step, begin);
}

Outcome Loop::finish() {
  const auto made = [&](std::optional<moe::Statistics>& statistics, data::Split split) {
    statistics = evaluate(split);
    return statistics.has_value();
  };
  // A text is as long as its training is: nobody asks for another pass over it.
  const data::Dataset& dataset = loader_.dataset();
  const bool evaluates_training = dataset.group_count() > 0 && dataset.window() == 0;
  const bool is_whole = (validation_step_ == state_.step || made(validation_, data::Split::validation)) &&
                        made(test_, data::Split::test) &&
                        (!evaluates_training || made(training_, data::Split::train)) && evaluate_best();
  if (!is_whole) return stopped(signal_asked);
  Outcome outcome{ExitCode::ok,
                  state_.ended ? fmt::format("ended after step {} of {} by train.stop_loss or stop_loss_rise",
                                             state_.step, last_step_)
                               : fmt::format("finished all {} steps", last_step_)};
  if (folder_ != nullptr) {
    const console::Result result{&*validation_, &*test_, importance_weight()};
    if (trained_samples_ > 0) *out_ << '\n' << throughput_text();
    *out_ << '\n' << console::result_text(result, console::detect_terminal(1).style);
    if (best_test_ && state_.best_step != state_.step) {
      *out_ << console::best_line(state_.best_step, state_.best.name, state_.best.value, *best_test_);
    }
    *out_ << std::flush;
  }
  write_summary(outcome);
  return outcome;
}

// The last use of the model, which then has the weights of the best checkpoint. False if a stop cut it off.
bool Loop::evaluate_best() {
  if (state_.best_step < 0 || test_->samples() == 0) return true;
  if (state_.best_step == state_.step) {
    best_test_ = test_;
    return true;
  }
  try {
    const checkpoint::Reader reader(resources_.communicator,
                                    checkpoint::path_of(checkpoint_folder_, state_.best_step));
    comm::agree(resources_.communicator, [&] { load_arrays(reader, resources_.context, *model_, nullptr); });
  } catch (const AgreedError& error) {
    constexpr std::array of_the_file = {ErrorKind::data, ErrorKind::hdf5, ErrorKind::numeric};
    if (std::ranges::find(of_the_file, error.kind()) == of_the_file.end()) throw;
    if (resources_.communicator.is_root())
      log::warn(
          "no test figures of the best checkpoint, that of step {} ({}); eval RUN --checkpoint=best makes them",
          state_.best_step, error.what());
    return true;
  }
  model_->values_changed();
  best_test_ = evaluate(data::Split::test);
  return best_test_.has_value();
}

std::optional<BestEvaluation> Loop::best() const {
  if (state_.best_step < 0) return std::nullopt;
  return BestEvaluation{state_.best_step, loader_.training().epoch_number(state_.best_step), state_.best,
                        best_test_ ? &*best_test_ : nullptr};
}

std::optional<double> Loop::importance_weight() const {
  return takes_regularisers(config_) ? std::optional(config_.moe.importance) : std::nullopt;
}

void Loop::write_summary(const Outcome& outcome) {
  if (folder_ == nullptr) return;
  const Summary summary{.steps = state_.step,
                        .parameters = model_->cost().parameters,
                        .seed = config_.run.seed,
                        .samples_per_second = samples_per_second(),
                        .seconds = training_seconds_,
                        .matrix_limit_share = matrix_share(),
                        .train_loss = state_.last_loss,
                        .training = training_ ? &*training_ : nullptr,
                        .validation = validation_ ? &*validation_ : nullptr,
                        .test = test_ ? &*test_ : nullptr,
                        .best = best(),
                        .takes_regularisers = takes_regularisers(config_),
                        .exit_code = outcome.code,
                        .exit_reason = outcome.reason};
  folder_->write_summary(summary_object(summary, build_info()));
}

double Loop::matrix_limit() const {
  const index_t multiply_adds = model_->cost().training_multiply_adds;
  return multiply_adds > 0 ? matrix_rate_ / (2.0 * static_cast<double>(multiply_adds)) : 0;
}

double Loop::matrix_share() const {
  const double limit = matrix_limit();
  return limit > 0 ? samples_per_second() / limit : 0;
}

std::string Loop::throughput_text() const {
  std::string text =
      fmt::format("{} {}/s in training", console::rate_text(samples_per_second()), loader_.dataset().counted());
  if (const double share = matrix_share(); share > 0) {
    text += fmt::format(", {:.2f} of the matrix limit ({:.1f} GFLOP/s in float32, before the first step)",
                        share, matrix_rate_ * 1e-9);
  }
  return text + '\n';
}

double Loop::samples_per_second() const {
  return training_seconds_ > 0 ? static_cast<double>(trained_samples_) / training_seconds_ : 0;
}

double Loop::elapsed_seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

}  // namespace switchyard::run
