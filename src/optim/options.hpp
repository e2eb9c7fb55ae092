// What a configuration says about the optimiser and its schedule: [optim].
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/schema.hpp"

namespace switchyard::optim {

// `same` is for the gate alone: that of the experts.
enum class OptimiserKind { adam, adamw, sgd, normalised_sgd, same };
// The norm that normalised_sgd divides a network's gradient by.
enum class GradientNorm { whole, sum_of_tensors };
enum class ScheduleKind { constant, cosine, linear, warmup_stable_decay };

struct Options {
  OptimiserKind name = OptimiserKind::adam;
  double learning_rate = 1e-3;
  OptimiserKind gate_name = OptimiserKind::same;
  double gate_learning_rate = 0;  // 0: learning_rate
  GradientNorm gradient_norm = GradientNorm::whole;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double momentum = 0;  // SGD
  double weight_decay = 0;
  std::vector<std::string> decay_on;  // nn::role_names; none: optim::decays() knows
  double clip_norm = 0;               // 0: no clipping
  ScheduleKind schedule = ScheduleKind::constant;
  double floor = 0;          // times learning_rate: where it falls to
  double decay_share = 0.2;  // of the schedule's steps: those in which warmup_stable_decay falls
  std::int64_t warmup_steps = 0;
  std::int64_t schedule_steps = 0;  // 0: epochs x steps per epoch
};

config::Section section();

// ConfigError for what has no meaning together.
void validate(const Options& options);

}  // namespace switchyard::optim
