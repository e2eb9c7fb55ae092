#include "optim/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/field_table.hpp"
#include "config/require.hpp"
#include "nn/role.hpp"

namespace switchyard::optim {
namespace {

using config::require;

constexpr std::array optimiser_words = {
    config::Word{OptimiserKind::adam, "adam"}, config::Word{OptimiserKind::adamw, "adamw"},
    config::Word{OptimiserKind::sgd, "sgd"}, config::Word{OptimiserKind::normalised_sgd, "normalised_sgd"}};
constexpr std::array gate_optimiser_words = {
    config::Word{OptimiserKind::same, "same"}, config::Word{OptimiserKind::adam, "adam"},
    config::Word{OptimiserKind::adamw, "adamw"}, config::Word{OptimiserKind::sgd, "sgd"},
    config::Word{OptimiserKind::normalised_sgd, "normalised_sgd"}};
constexpr std::array norm_words = {config::Word{GradientNorm::whole, "whole"},
                                   config::Word{GradientNorm::sum_of_tensors, "sum_of_tensors"}};
constexpr std::array schedule_words = {config::Word{ScheduleKind::constant, "constant"},
                                       config::Word{ScheduleKind::cosine, "cosine"},
                                       config::Word{ScheduleKind::linear, "linear"},
                                       config::Word{ScheduleKind::warmup_stable_decay, "warmup_stable_decay"}};

constexpr config::Range fraction_below_one{.min = 0, .max = 1, .max_excluded = true};  // decay rates
constexpr config::FieldTable<Options> training{config::Role::training};
constexpr std::array fields = {
    in_headline(
        "optimiser",
        training.choice<&Options::name, optimiser_words>(
            "name",
            "the optimiser; adamw: weight decay apart from the gradient; normalised_sgd divides each network's "
            "gradient by its norm")),
    in_headline("learning rate", training.number<&Options::learning_rate>("learning_rate", config::above_zero,
                                                                          "after warm-up, before decay")),
    training.choice<&Options::gate_name, gate_optimiser_words>("gate_name", "the gate's optimiser"),
    training.number<&Options::gate_learning_rate>(
        "gate_learning_rate", config::not_negative,
        "the gate's, with the same warm-up and schedule; 0: learning_rate"),
    training.choice<&Options::gradient_norm, norm_words>(
        "gradient_norm", "normalised_sgd: norm of the whole gradient, or the sum of its tensors' norms"),
    training.number<&Options::beta1>("beta1", fraction_below_one,
                                     "adam, adamw: decay of the gradient's mean; at most 0.999999"),
    training.number<&Options::beta2>("beta2", fraction_below_one,
                                     "adam, adamw: decay of the squared gradient's mean; at most 0.999999"),
    training.number<&Options::epsilon>("epsilon", config::above_zero,
                                       "adam, adamw: added to the denominator; at least 1.2e-38"),
    training.number<&Options::momentum>("momentum", fraction_below_one,
                                        "sgd: decay of the velocity; 0: none; at most 0.999999"),
    training.number<&Options::weight_decay>(
        "weight_decay", config::not_negative,
        "L2: times the weight, added to the gradient (by normalised_sgd after it was divided); adamw: times the "
        "weight and the learning rate, taken from the weight"),
    training.words<&Options::decay_on>(
        "decay_on",
        "which parameters decay, of weight, bias, norm, embedding and router; empty: all, with adamw weight"),
    training.number<&Options::clip_norm>("clip_norm", config::not_negative,
                                         "largest norm of the whole gradient; 0: no clipping"),
    training.choice<&Options::schedule, schedule_words>("schedule", "of the learning rate after warm-up"),
    training.number<&Options::floor>("floor", {.min = 0, .max = 1},
                                     "cosine, linear, warmup_stable_decay: end at this part of learning_rate"),
    training.number<&Options::decay_share>("decay_share", {.min = 0, .max = 1, .min_excluded = true},
                                           "warmup_stable_decay: falls over this last part of the schedule"),
    training.integer<&Options::warmup_steps>("warmup_steps", 0, config::largest_count,
                                             "the learning rate rises linearly over these", "steps"),
    training.integer<&Options::schedule_steps>("schedule_steps", 0, config::largest_count,
                                               "the schedule's end; 0: epochs x steps per epoch", "steps"),
};

std::string_view word_of(OptimiserKind kind) {
  return std::ranges::find(gate_optimiser_words, kind, &config::Word<OptimiserKind>::value)->name;
}

void check_schedule(const Options& options) {
  const Options defaults;
  require(options.schedule_steps == 0 || options.warmup_steps <= options.schedule_steps,
          "optim.warmup_steps = {} exceeds optim.schedule_steps = {} (the schedule would end during warm-up); "
          "lower optim.warmup_steps or raise optim.schedule_steps",
          options.warmup_steps, options.schedule_steps);
  require(options.schedule != ScheduleKind::constant || options.floor == defaults.floor,
          "optim.floor = {} with optim.schedule = constant (the rate does not fall); remove it, or set "
          "optim.schedule = cosine",
          options.floor);
  require(options.schedule == ScheduleKind::warmup_stable_decay || options.decay_share == defaults.decay_share,
          "optim.decay_share = {} without optim.schedule = warmup_stable_decay (others fall from warm-up on); "
          "remove it, or set optim.schedule = warmup_stable_decay",
          options.decay_share);
}

void check_decay(const Options& options) {
  for (const std::string& word : options.decay_on) {
    require(std::ranges::find(nn::role_names, word) != nn::role_names.end(),
            "optim.decay_on has '{}' (parameters are {}); use these words", word,
            fmt::join(nn::role_names, ", "));
  }
  require(options.decay_on.empty() || options.weight_decay > 0,
          "optim.decay_on = {} with optim.weight_decay = 0 (nothing decays); set optim.weight_decay, or remove "
          "it",
          fmt::join(options.decay_on, " "));
}

}  // namespace

config::Section section() { return {"optim", "the optimiser and its schedule", fields}; }

void validate(const Options& options) {
  const Options defaults;
  const auto any = [&](OptimiserKind kind) { return options.name == kind || options.gate_name == kind; };
  const bool adam = any(OptimiserKind::adam) || any(OptimiserKind::adamw);
  const bool normalised = any(OptimiserKind::normalised_sgd);
  require(any(OptimiserKind::sgd) || normalised || options.momentum == 0,
          "optim.momentum = {} with optim.name = {} (only sgd has a momentum); set optim.beta1, or "
          "optim.name = sgd",
          options.momentum, word_of(options.name));
  require(
      adam || (options.beta1 == defaults.beta1 && options.beta2 == defaults.beta2 &&
               options.epsilon == defaults.epsilon),
      "optim.beta1, beta2 or epsilon is set without adam or adamw (nothing else reads them; they are {}, {} "
      "and {}); remove them, or set optim.name = adam",
      options.beta1, options.beta2, options.epsilon);
  // A moment has 24 binary digits: it stands still where a step moves it by less than its 2^-24th part.
  constexpr double smallest_share = 0x1p-20;
  for (const auto& [key, decay] :
       {std::pair{"beta1", options.beta1}, {"beta2", options.beta2}, {"momentum", options.momentum}}) {
    require(1.0 - decay >= smallest_share,
            "optim.{} = {} is too near to 1 (a step would change {:.1g} of a moment, and float32 rounds that "
            "away); use at most 0.999999",
            key, decay, 1.0 - decay);
  }
  check_decay(options);
  require(normalised || options.gradient_norm == defaults.gradient_norm,
          "optim.gradient_norm = sum_of_tensors without normalised_sgd (nothing else divides by it); remove "
          "it, or set optim.name = normalised_sgd");
  require(
      !normalised || options.clip_norm == 0,
      "optim.clip_norm = {} with normalised_sgd (a gradient that is divided by its norm has nothing to clip); "
      "remove it",
      options.clip_norm);
  check_schedule(options);
}

}  // namespace switchyard::optim
