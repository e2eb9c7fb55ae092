// What a configuration says about the training loop: [train].
#pragma once

#include <cstdint>
#include <string>

#include "config/schema.hpp"
#include "model/options.hpp"
#include "nn/options.hpp"

namespace switchyard::train {

enum class SampleOrder { shuffled, fixed };

struct Options {
  std::int64_t shards = 8;
  std::int64_t parts = 1;
  std::int64_t batch_size = 512;
  std::int64_t epochs = 20;
  std::int64_t max_steps = 0;  // 0: no limit; only stops, never changes the schedule
  SampleOrder order = SampleOrder::shuffled;
  // Ends the run before its last step, when the loss of a batch falls to stop_loss, or lies stop_loss_rise
  // above the smallest so far; from stop_after_steps on. 0: never.
  double stop_loss = 0;
  double stop_loss_rise = 0;
  std::int64_t stop_after_steps = 0;
  std::string freeze = "none";  // patterns of parameters' names: what is left as it is
  nn::Precision precision = nn::Precision::float32;
  bool recompute = false;
  std::int64_t evaluate_every_steps = 0;  // on the validation split; 0: at the end of every epoch
  std::int64_t log_every_steps = 50;
};

config::Section section();

// ConfigError for what has no meaning together.
void validate(const Options& options);

}  // namespace switchyard::train
