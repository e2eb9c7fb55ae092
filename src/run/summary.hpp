// summary.json: what came out of a run, in one object.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "base/build_info.hpp"
#include "base/error.hpp"
#include "base/ids.hpp"
#include "model/model.hpp"

namespace switchyard::run {

// The checkpoint with the best score so far.
struct BestEvaluation {
  index_t step = 0;
  index_t epoch = 0;
  model::Score score;                     // on the validation split
  const moe::Statistics* test = nullptr;  // with its weights; null: null in the file
};

struct Summary {
  index_t steps = 0;       // done since step 1, over all resumes
  index_t parameters = 0;  // trainable numbers in all
  std::uint64_t seed = 0;
  // Of the training steps of this process: without evaluation, saving and what was done before a resume.
  double samples_per_second = 0;
  double seconds = 0;
  // Of the rate at which matrix products alone would go, as measured before the first step; 0: not measured,
  // null in the file.
  double matrix_limit_share = 0;
  double train_loss = 0;                        // total loss of the last step
  const moe::Statistics* training = nullptr;    // the training split, where it was evaluated
  const moe::Statistics* validation = nullptr;  // null or without samples: null in the file
  const moe::Statistics* test = nullptr;        // with the last step's weights, as the two above
  std::optional<BestEvaluation> best;
  bool takes_regularisers = true;  // run/validate.hpp; for advice in a report
  ExitCode exit_code = ExitCode::ok;
  std::string exit_reason;  // a sentence; why the run ended
};

// {"steps", "parameters", "seed", "train", "validation", "test", "best", "takes_regularisers", "exit",
// "build"}
nlohmann::ordered_json summary_object(const Summary& summary, const BuildInfo& build);

// What `file` says of a run that has ended with success; nothing if there is none, or it says something else.
std::optional<nlohmann::json> finished_summary(const std::filesystem::path& file);

}  // namespace switchyard::run
