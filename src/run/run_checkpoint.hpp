// A run's state as a checkpoint, and back.
#pragma once

#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.hpp"
#include "data/dataset.hpp"
#include "model/model.hpp"
#include "optim/optimiser.hpp"

namespace switchyard::run {

struct Config;

// What a run is, apart from arrays. `step` counts finished steps, so it is also the next one's number.
struct RunState {
  index_t step = 0;
  index_t horizon = 0;  // of the schedule
  model::Score best;    // so far
  index_t best_step = -1;
  double smallest_loss = std::numeric_limits<double>::max();  // of a batch, regularisers included
  double last_loss = 0;                                       // of the last step's batch
  bool ended = false;                                         // by train.stop_loss or stop_loss_rise
  bool evaluated = true;  // false: a stop cut the evaluation after this step off, and it is yet to be made
  data::Identity data;    // that it reads
};

// Collective. Arrays: parameters/NAME, optimizer/NAME/first_moment ..., buffers/NAME (running statistics);
// scalars: state/step, state/epoch, state/batch, state/seed, ..., data/training_samples, ...; texts: config,
// build, products, instruction_set, data/digest; and the arrays of run/data_arrays.hpp.
struct RunParts {
  const Config& config;
  const RunState& state;
  model::Model& model;
  optim::Optimiser& optimiser;
  const moe::Statistics& last_step;
  const data::Dataset& dataset;
};
void save_checkpoint(comm::Communicator& communicator, device::Context& context,
                     const std::filesystem::path& folder, const RunParts& run,
                     const checkpoint::SaveOptions& options);

// The checkpoint that `path` stands for: itself, or the newest valid one of a run folder. Local. Throws
// DataError if the folder holds none; a file is not looked at.
std::string checkpoint_file(const std::filesystem::path& path);
// The checkpoint of the run folder that --checkpoint=`name` says: "best", "latest" or a step, whole or not.
// Local. Throws DataError if there is none, ConfigError if `run` is a file.
std::string named_checkpoint(const std::filesystem::path& run, std::string_view name);

// The data that the checkpoint's run reads; nothing if it was written before checkpoints said so. Local.
std::optional<data::Identity> stored_identity(const checkpoint::Reader& reader);

// Local: what a checkpoint says of its run. What fixes the order of samples and the sums must agree with
// `config` (seed, shards, batch size) and `data`; DataError if not. `score`: the name of the model's.
RunState state_of(const checkpoint::Reader& reader, const Config& config, const data::Identity& data,
                  std::string_view score);

// What computed the run so far and is another now (the build, the library of products, its instruction set or
// the GPU), and data that cannot be compared: a sentence each. A resumed run may differ in bits from one that
// never stopped.
std::vector<std::string> warnings_of(const checkpoint::Reader& reader, const device::Context& context);

// What save_checkpoint() stored of `last_step`: importance and load, for a run that saves again before it makes
// a step.
void load_last_step(const checkpoint::Reader& reader, moe::Statistics& last_step);

// The first array of the model and the optimiser that holds a number that is not finite:
// "'experts/0003/dense_1/weight' is not finite", with the rank that has it; empty if there is none. A pass over
// all of it. Collective.
std::string first_not_finite(comm::Communicator& communicator, device::Context& context, model::Model& model,
                             optim::Optimiser& optimiser);
// Throws NumericError if this rank's running statistics, which no optimiser updates, are not finite. Local: for
// comm::agree().
void expect_finite_state(model::Model& model, device::Context& context);

// Every rank reads what it now owns. Throws NumericError for an array that is not finite. optimiser may be null
// (evaluation).
void load_arrays(const checkpoint::Reader& reader, device::Context& context, model::Model& model,
                 optim::Optimiser* optimiser);

}  // namespace switchyard::run
