#include "run/options.hpp"

#include "config/field_table.hpp"

namespace switchyard::run {
namespace {

constexpr std::array device_words = {config::Word{DeviceChoice::automatic, "auto"},
                                     config::Word{DeviceChoice::cpu, "cpu"},
                                     config::Word{DeviceChoice::cuda, "cuda"}};
constexpr std::array resume_words = {config::Word{ResumeMode::never, "never"},
                                     config::Word{ResumeMode::automatic, "auto"}};

constexpr config::FieldTable<Options> output{config::Role::output};
constexpr config::FieldTable<Options> placement{config::Role::placement};
constexpr config::FieldTable<Options> which{config::Role::run};
constexpr config::FieldTable<Options> seed{config::Role::seed};
constexpr std::array run_fields = {
    which.text<&Options::dir>("dir", "the run folder, made by train"),
    in_headline("seed", seed.integer<&Options::seed>("seed", 0, std::numeric_limits<std::int64_t>::max(),
                                                     "of the first weights and of the order of samples")),
    placement.choice<&Options::device, device_words>("device", "auto: cuda where a GPU can be used, else cpu"),
    per_rank(placement.integer<&Options::threads>("threads", 0, 1024,
                                                  "per rank; 0: the rank's share of its processors")),
    which.choice<&Options::resume, resume_words>("resume",
                                                 "auto: train goes on with the run in run.dir if there is one"),
    output.number<&Options::max_minutes>("max_minutes", config::not_negative,
                                         "then saves, stops and exits with 75; 0: no limit", "minutes"),
    placement.number<&Options::wait_seconds>(
        "wait_seconds", {.min = 1, .max = 86400},
        "how long a rank waits for the others in one operation before the run ends", "seconds"),
};

constexpr config::FieldTable<InitOptions> training{config::Role::training};
constexpr std::array init_fields = {
    training.text<&InitOptions::from>(
        "from", "a checkpoint, or a run folder: its newest checkpoint; empty: none is read"),
    training.text<&InitOptions::parts>(
        "parts", "what is read of it, by patterns of names, such as: all; gate; gate/dense_1 experts/*"),
    training.integer<&InitOptions::draw>("draw", 0, std::numeric_limits<std::uint32_t>::max(),
                                         "which of the draws that run.seed gives, for all that is not read"),
    training.number<&InitOptions::upcycle_noise>(
        "upcycle_noise", config::not_negative,
        "of experts that begin as copies of a dense model's network: standard deviation of a weight, as a share of "
        "it"),
};

constexpr config::FieldTable<CheckpointOptions> saved{config::Role::output};
constexpr std::array checkpoint_fields = {
    saved.integer<&CheckpointOptions::every_steps>("every_steps", 0, config::largest_count,
                                                   "between two checkpoints; 0: at the end of every epoch",
                                                   "steps"),
    saved.integer<&CheckpointOptions::keep_last>("keep_last", 1, config::largest_count,
                                                 "newest checkpoints kept; the best one is kept besides",
                                                 "files"),
};

constexpr config::FieldTable<MetricsOptions> recorded{config::Role::output};
constexpr std::array metrics_fields = {
    recorded.integer<&MetricsOptions::every_steps>(
        "every_steps", 1, config::largest_count,
        "metrics.jsonl has a record of each step that is a multiple of this, and of that step alone", "steps"),
};

constexpr config::FieldTable<OutputOptions> shown{config::Role::output};
constexpr std::array output_fields = {
    shown.choice<&OutputOptions::tensorboard, config::yes_no_words>(
        "tensorboard",
        "yes: the records of metrics.jsonl as TensorBoard reads them, in the run folder's tensorboard"),
    shown.choice<&OutputOptions::trace, config::yes_no_words>(
        "trace", "yes: what each rank did when, in the run folder's trace.json, for Perfetto"),
    shown.integer<&OutputOptions::trace_steps>(
        "trace_steps", 1, 10'000,
        "of a trace: so many of the first steps that a process does, and of its last ones", "steps"),
};

}  // namespace

config::Section run_section() { return {"run", "where and how it runs", run_fields}; }
config::Section init_section() { return {"init", "the first weights of a new run", init_fields}; }
config::Section checkpoint_section() { return {"checkpoint", "what is saved, and when", checkpoint_fields}; }
config::Section metrics_section() { return {"metrics", "what is recorded, and when", metrics_fields}; }
config::Section output_section() { return {"output", "what is written for other programs", output_fields}; }

}  // namespace switchyard::run
