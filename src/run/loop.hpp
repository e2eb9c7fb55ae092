// A training run from its first step, or from a checkpoint, to its end.
#pragma once

#include <iosfwd>
#include <memory>
#include <optional>
#include <string>

#include "console/progress_line.hpp"
#include "run/collapse_watch.hpp"
#include "run/config.hpp"
#include "run/event_log.hpp"
#include "run/metrics.hpp"
#include "run/run_checkpoint.hpp"
#include "run/run_folder.hpp"
#include "run/summary.hpp"
#include "run/trace.hpp"
#include "train/step.hpp"

namespace switchyard::run {

struct Outcome {
  ExitCode code = ExitCode::ok;
  std::string reason;  // a sentence
};

// Everything a run owns on this rank. All public methods are collective. Only the root writes files
// (checkpoints take everybody) and prints; a failure of the root alone is the root's own Error, which ends all
// ranks.
class Loop {
 public:
  // folder is given on the root rank and null elsewhere.
  Loop(const Config& config, const data::Dataset& dataset, comm::Resources resources, const RunFolder* folder);

  // Where the root writes progress and the result: standard output, unless this is called before run().
  void set_output(std::ostream& out) { out_ = &out; }
  // As BatchLoader::hold_samples, before run(). Local.
  void hold_samples(index_t most_bytes) { loader_.hold_samples(most_bytes); }
  // Tests only, before run(): reports of steps are read late, as on a GPU.
  void read_reports_late() { step_.set_reports(train::Step::Reports::late); }

  model::Model& model() { return *model_; }
  const train::BatchLoader& loader() const { return loader_; }
  index_t last_step() const { return last_step_; }
  index_t step() const { return state_.step; }
  index_t horizon() const { return state_.horizon; }

  // Goes on where the checkpoint stands.
  void restore(const checkpoint::Reader& reader);
  // Whether no step is left to do.
  bool is_over() const;
  // Trains to the last step or until asked to stop, evaluates when train.evaluate_every_steps says and at the
  // end, saves.
  Outcome run();

 private:
  bool epoch_ends(index_t step) const;
  bool is_evaluating_step(index_t step) const;
  bool is_saving_step(index_t step) const;
  bool is_report_urgent(index_t step) const;
  void train_one_step();
  void take_report();
  void record(const train::StepReport& report);
  void look_for_end(double loss);
  std::optional<moe::Statistics> evaluate(data::Split split);
  bool evaluate_validation();
  Outcome stopped(std::string_view why);
  Outcome train();
  void start_trace();
  void write_trace();
  void note_trace(bool with_others);
  void note_end(ErrorKind kind, const std::string& message);
  [[noreturn]] void end_without_numbers(const Error& error);
  void save();
  Outcome finish();
  bool evaluate_best();
  std::optional<BestEvaluation> best() const;
  void write_summary(const Outcome& outcome);
  double elapsed_seconds() const;
  // Of the training steps of this process.
  double samples_per_second() const;
  // The same, if those cores did the model's products and nothing else; 0: not known.
  double matrix_limit() const;
  double matrix_share() const;  // of it; 0: not known
  std::string throughput_text() const;
  void measure_matrix_rate();
  // For advice; nothing where no regulariser may be set.
  std::optional<double> importance_weight() const;

  Config config_;
  comm::Resources resources_;
  const RunFolder* folder_;
  std::filesystem::path checkpoint_folder_;
  train::BatchLoader loader_;
  std::unique_ptr<model::Model> model_;
  optim::Optimiser optimiser_;
  RunState state_;
  index_t last_step_;
  train::Step step_;

  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  index_t step_under_way_ = 0;    // counts from 1, as metrics do
  std::unique_ptr<Trace> trace_;  // output.trace, until it is written
  train::Agreement agreed_;
  bool has_report_ = false;  // of a step of this process
  moe::Statistics last_batch_;
  double training_seconds_ = 0;
  index_t trained_samples_ = 0;
  double matrix_rate_ = 0;  // float32 operations a second of the cores of all ranks; 0: not measured
  index_t saved_step_ = -1;
  bool is_best_ = false;
  std::optional<moe::Statistics> validation_;  // the newest
  index_t validation_step_ = -1;               // of validation_
  std::optional<moe::Statistics> test_;
  std::optional<moe::Statistics> best_test_;  // with the best checkpoint's weights
  std::optional<moe::Statistics> training_;   // only where the data have clusters

  // Root only.
  std::ostream* out_;
  std::unique_ptr<MetricsWriter> metrics_;
  std::unique_ptr<EventLog> events_;  // output.tensorboard
  std::unique_ptr<console::ProgressLine> progress_;
  CollapseWatch collapse_watch_;
};

}  // namespace switchyard::run
