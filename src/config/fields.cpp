#include "config/fields.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "base/contract.hpp"

namespace switchyard::config {
namespace {

// The words of the enumerations, each beside its enumerator.

template <class Enum>
struct Word {
  Enum value;
  std::string_view name;
};
template <class Enum>
Word(Enum, std::string_view) -> Word<Enum>;  // clang++ 14 cannot tell by itself

constexpr std::array device_words = {Word{DeviceChoice::automatic, "auto"}, Word{DeviceChoice::cpu, "cpu"},
                                     Word{DeviceChoice::cuda, "cuda"}};
constexpr std::array resume_words = {Word{ResumeMode::never, "never"}, Word{ResumeMode::automatic, "auto"}};
constexpr std::array source_words = {Word{DataSource::idx, "idx"}, Word{DataSource::cifar, "cifar"},
                                     Word{DataSource::random, "random"},
                                     Word{DataSource::clusters, "clusters"}};
constexpr std::array yes_no_words = {Word{false, "no"}, Word{true, "yes"}};
constexpr std::array label_words = {Word{LabelLevel::fine, "fine"}, Word{LabelLevel::coarse, "coarse"}};
constexpr std::array augment_words = {Word{Augmentation::none, "none"},
                                      Word{Augmentation::flip_crop, "flip_crop"}};
constexpr std::array order_words = {Word{SampleOrder::shuffled, "shuffled"}, Word{SampleOrder::fixed, "fixed"}};
constexpr std::array loss_words = {Word{Loss::likelihood, "likelihood"},
                                   Word{Loss::stochastic, "stochastic"},
                                   Word{Loss::predicted_loss, "predicted_loss"},
                                   Word{Loss::cross_entropy, "cross_entropy"},
                                   Word{Loss::logistic, "logistic"},
                                   Word{Loss::double_softmax, "double_softmax"}};
constexpr std::array init_words = {Word{InitialValues::uniform, "uniform"},
                                   Word{InitialValues::normal, "normal"}};
constexpr std::array part_words = {Word{InitParts::all, "all"}, Word{InitParts::gate, "gate"},
                                   Word{InitParts::experts, "experts"}};
constexpr std::array gate_value_words = {Word{GateValue::softmax, "softmax"},
                                         Word{GateValue::noisy_softmax, "noisy_softmax"},
                                         Word{GateValue::noisy_logit, "noisy_logit"}};
constexpr std::array noise_words = {Word{GateNoise::none, "none"}, Word{GateNoise::uniform, "uniform"},
                                    Word{GateNoise::normal, "normal"}};
constexpr std::array draw_words = {Word{NoiseDraw::every_step, "every_step"}, Word{NoiseDraw::once, "once"}};
constexpr std::array when_words = {Word{NoiseWhen::training, "training"}, Word{NoiseWhen::always, "always"}};
constexpr std::array placement_words = {Word{PlacementRule::block, "block"},
                                        Word{PlacementRule::cyclic, "cyclic"}};
constexpr std::array optimizer_words = {Word{OptimizerKind::adam, "adam"}, Word{OptimizerKind::sgd, "sgd"},
                                        Word{OptimizerKind::normalised_sgd, "normalised_sgd"}};
constexpr std::array gate_optimizer_words = {Word{GateOptimizer::same, "same"},
                                             Word{GateOptimizer::adam, "adam"}, Word{GateOptimizer::sgd, "sgd"},
                                             Word{GateOptimizer::normalised_sgd, "normalised_sgd"}};
constexpr std::array norm_words = {Word{GradientNorm::whole, "whole"},
                                   Word{GradientNorm::sum_of_tensors, "sum_of_tensors"}};
constexpr std::array schedule_words = {Word{ScheduleKind::constant, "constant"},
                                       Word{ScheduleKind::cosine, "cosine"}};
constexpr std::array precision_words = {Word{Precision::float32, "float32"}, Word{Precision::bf16, "bf16"}};
constexpr std::array freeze_words = {Word{Freeze::none, "none"}, Word{Freeze::gate, "gate"},
                                     Word{Freeze::experts, "experts"}};

template <const auto& words>
constexpr auto names_of = [] {
  std::array<std::string_view, words.size()> names;
  for (std::size_t i = 0; i < words.size(); ++i) names[i] = words[i].name;
  return names;
}();

// Builds the fields of the struct at Config::*section. The accessors are captureless lambdas, one per member.
template <auto section>
struct Table {
  std::string_view name;

  template <auto member>
  constexpr Field integer(std::string_view key, std::int64_t min, std::int64_t max, std::string_view help,
                          std::string_view unit = {}) const {
    using Value = std::remove_cvref_t<decltype(std::declval<Config>().*section.*member)>;
    // Evaluated by the compiler: a range that the member cannot hold does not compile.
    if (!std::in_range<Value>(min) || !std::in_range<Value>(max))
      throw std::logic_error("range exceeds member");
    return {
        name,
        key,
        Integer{[](const Config& config) { return static_cast<std::int64_t>(config.*section.*member); },
                [](Config& config, std::int64_t value) { config.*section.*member = static_cast<Value>(value); },
                min, max},
        help,
        unit,
        Scope::run};
  }

  template <auto member>
  constexpr Field number(std::string_view key, Range range, std::string_view help,
                         std::string_view unit = {}) const {
    return {name,
            key,
            Number{[](const Config& config) { return config.*section.*member; },
                   [](Config& config, double value) { config.*section.*member = value; }, range},
            help,
            unit,
            Scope::run};
  }

  template <auto member>
  constexpr Field numbers(std::string_view key, Range range, std::string_view help) const {
    return {name, key,
            Numbers{[](const Config& config) -> const std::vector<double>& { return config.*section.*member; },
                    [](Config& config, std::vector<double> values) {
                      SY_EXPECTS(!values.empty(), "no number");
                      config.*section.*member = std::move(values);
                    },
                    range},
            help};
  }

  template <auto member>
  constexpr Field text(std::string_view key, std::string_view help) const {
    return {name, key,
            Text{[](const Config& config) -> const std::string& { return config.*section.*member; },
                 [](Config& config, std::string value) { config.*section.*member = std::move(value); }},
            help};
  }

  template <auto member, const auto& words>
  constexpr Field choice(std::string_view key, std::string_view help) const {
    return {name, key,
            Choice{names_of<words>,
                   [](const Config& config) {
                     std::size_t i = 0;
                     while (i < words.size() && words[i].value != config.*section.*member) ++i;
                     SY_EXPECTS(i < words.size(), "an enumerator without a word: {}",
                                static_cast<int>(config.*section.*member));
                     return i;
                   },
                   [](Config& config, std::size_t i) { config.*section.*member = words[i].value; }},
            help};
  }
};

constexpr Field per_rank(Field field) {
  field.scope = Scope::rank;
  return field;
}

// A count that may also be automatic_count.
constexpr Field or_auto(Field field) {
  std::get<Integer>(field.type).automatic = "auto";
  return field;
}

constexpr Range above_zero{.min = 0, .min_excluded = true};
constexpr Range not_negative{.min = 0};
constexpr Range fraction_below_one{.min = 0, .max = 1, .max_excluded = true};  // decay rates

// No count may exceed this, so that the bytes of a matrix of two counts (1e9 x 1e9 x 8 < 2^63) still fit
// index_t.
constexpr std::int64_t largest_count = 1'000'000'000;

constexpr Table<&Config::run> run{"run"};
constexpr std::array run_fields = {
    run.text<&Run::dir>("dir", "the run folder, made by train"),
    run.integer<&Run::seed>("seed", 0, std::numeric_limits<std::int64_t>::max(),
                            "of the first weights and of the order of samples"),
    run.choice<&Run::device, device_words>("device", "auto: cuda where a GPU can be used, else cpu"),
    per_rank(run.integer<&Run::threads>("threads", 0, 1024, "per rank; 0: the rank's share of its processors")),
    run.choice<&Run::resume, resume_words>("resume",
                                           "auto: train goes on with the run in run.dir if there is one"),
    run.number<&Run::max_minutes>("max_minutes", not_negative,
                                  "then saves, stops and exits with 75; 0: no limit", "minutes"),
    run.number<&Run::wait_seconds>("wait_seconds", {.min = 1, .max = 86400},
                                   "how long a rank waits for the others in one operation before the run ends",
                                   "seconds"),
};

constexpr Table<&Config::data> data{"data"};
constexpr std::array data_fields = {
    data.choice<&Data::source, source_words>(
        "source",
        "idx: the four files of MNIST's format; cifar: the binary version of CIFAR-10 or CIFAR-100; random: "
        "made up; clusters: the clustered patches of Chen et al. 2022"),
    per_rank(data.text<&Data::dir>("dir", "idx, cifar: the folder of the files, plain or .gz")),
    or_auto(data.integer<&Data::validation_samples>(
        "validation_samples", 0, largest_count,
        "idx, cifar: taken from the training files; auto: a tenth of them, 5,000 at most", "samples")),
    data.choice<&Data::validation_balanced, yes_no_words>(
        "validation_balanced",
        "idx, cifar: yes: the same number of each class for validation; the first classes have one more where "
        "that does not divide"),
    data.choice<&Data::labels, label_words>(
        "labels",
        "cifar: of CIFAR-100, the 100 fine or the 20 coarse ones; fine: the coarse one is the cluster"),
    data.choice<&Data::augment, augment_words>(
        "augment",
        "cifar: of training images; flip_crop: flipped or not, then 32x32 of the image padded by 4 with its "
        "reflection"),
    data.numbers<&Data::mean>("mean", {},
                              "of the pixels as value/255, for all channels or for each; subtracted"),
    data.numbers<&Data::standard_deviation>(
        "standard_deviation", above_zero,
        "of the pixels as value/255, for all channels or for each; divided by"),
    data.integer<&Data::random_samples>("random_samples", 4, largest_count,
                                        "random: for training; a quarter of it for validation and for test",
                                        "samples"),
    data.integer<&Data::random_features>("random_features", 1, largest_count, "random: numbers in a sample"),
    data.integer<&Data::random_classes>("random_classes", 2, largest_count, "random: classes"),
    data.integer<&Data::seed>("seed", 0, std::numeric_limits<std::int64_t>::max(),
                              "random, clusters: of the samples; 0: run.seed"),
    data.integer<&Data::clusters>("clusters", 2, 1'000'000, "clusters: how many (K)"),
    data.integer<&Data::cluster_patches>("cluster_patches", 3, 1'000'000, "clusters: patches of a sample (P)"),
    data.integer<&Data::cluster_patch_size>("cluster_patch_size", 4, 1'000'000,
                                            "clusters: numbers in a patch (d), at least 2 K"),
    data.integer<&Data::cluster_samples>("cluster_samples", 1, largest_count,
                                         "clusters: for training, and as many for test", "samples"),
    data.number<&Data::cluster_signal_min>("cluster_signal_min", above_zero,
                                           "clusters: feature signal (alpha), uniform from"),
    data.number<&Data::cluster_signal_max>("cluster_signal_max", above_zero, "clusters: ... to"),
    data.number<&Data::cluster_center_min>("cluster_center_min", above_zero,
                                           "clusters: cluster centre (beta), uniform from"),
    data.number<&Data::cluster_center_max>("cluster_center_max", above_zero, "clusters: ... to"),
    data.number<&Data::cluster_noise_min>("cluster_noise_min", above_zero,
                                          "clusters: feature noise (gamma), uniform from"),
    data.number<&Data::cluster_noise_max>("cluster_noise_max", above_zero, "clusters: ... to"),
    data.number<&Data::cluster_patch_noise>("cluster_patch_noise", not_negative,
                                            "clusters: norm of a random patch (sigma_p)"),
    data.number<&Data::cluster_scale>("cluster_scale", above_zero, "clusters: multiplies every number"),
};

constexpr Table<&Config::model> model{"model"};
constexpr std::array model_fields = {
    model.text<&Model::gate>(
        "gate",
        "the gate's layers, such as: conv:8 relu max_pool dense:32 relu dense:experts, or "
        "ending in attention:experts; most_certain:experts: no gate, the most certain expert "
        "answers; by_label:experts: moe.partition; none: a single expert"),
    model.text<&Model::expert>("expert", "an expert's layers, such as: dense:64 relu dense:classes"),
    model.choice<&Model::loss, loss_words>("loss",
                                           "likelihood: of the mixture of the experts' distributions; "
                                           "stochastic: of competing experts, of which one "
                                           "answers; predicted_loss: the gate predicts the experts' losses and "
                                           "the best one answers; the others score the gate-weighted sum "
                                           "of their outputs"),
    model.choice<&Model::init, init_words>(
        "init", "of first weights; uniform: up to 1/sqrt(inputs); normal: standard deviation 1"),
    model.number<&Model::gate_init_scale>("gate_init_scale", not_negative,
                                          "multiplies the gate's first weights and biases"),
    model.number<&Model::expert_init_scale>("expert_init_scale", not_negative,
                                            "multiplies the experts' first weights and biases"),
};

constexpr Table<&Config::init> init{"init"};
constexpr std::array init_fields = {
    init.text<&Init::from>("from", "a checkpoint, or a run folder: its newest checkpoint; empty: none is read"),
    init.choice<&Init::parts, part_words>("parts", "what is read of it"),
    init.integer<&Init::draw>("draw", 0, std::numeric_limits<std::uint32_t>::max(),
                              "which of the draws that run.seed gives, for all that is not read"),
};

constexpr Table<&Config::moe> moe{"moe"};
constexpr std::array moe_fields = {
    moe.integer<&Moe::experts>("experts", 1, 1'000'000, "how many, on all ranks together", "experts"),
    moe.integer<&Moe::top_k>("top_k", 0, 1'000'000, "experts that see a sample; 0: dense, all of them",
                             "experts"),
    moe.text<&Moe::partition>("partition",
                              "with model.gate = by_label:experts: each expert's labels, such as: 0 7 | 1 9"),
    moe.number<&Moe::expert_temperature>(
        "expert_temperature", above_zero,
        "divides the scores by which experts learn, not those by which the gate does; 1: the same"),
    moe.choice<&Moe::gate_value, gate_value_words>(
        "gate_value",
        "what multiplies an expert's output: the softmax of the scores, of the scores with noise, or "
        "the noisy score itself"),
    moe.choice<&Moe::noise, noise_words>(
        "noise",
        "added to the scores before the top k are chosen; uniform: from [0, noise_scale); normal: with mean 0"),
    moe.number<&Moe::noise_scale>("noise_scale", not_negative,
                                  "of the noise; 0: uniform up to 1, normal with standard deviation 1/experts"),
    moe.choice<&Moe::noise_draw, draw_words>("noise_draw", "every_step, or once for each sample"),
    moe.choice<&Moe::noise_when, when_words>("noise_when", "training, or always: in evaluation too"),
    moe.number<&Moe::importance>("importance", not_negative,
                                 "weight of the importance regulariser (Shazeer et al. 2017); 0: off"),
    moe.number<&Moe::balance>("balance", not_negative,
                              "weight of the balance loss (Fedus et al. 2021, Switch); 0: off"),
    moe.number<&Moe::load>(
        "load", not_negative,
        "weight of the load regulariser (Shazeer et al. 2017), for top k with normal noise; 0: off"),
    moe.number<&Moe::z_loss>("z_loss", not_negative,
                             "weight of the router z-loss (Zoph et al. 2022, ST-MoE); 0: off"),
    moe.number<&Moe::gate_entropy>(
        "gate_entropy", not_negative,
        "weight of the mean entropy of a sample's gate probabilities, in nats; 0: off"),
    moe.number<&Moe::similarity>(
        "similarity", not_negative,
        "weight of the sample-similarity regulariser (Krishnamurthy et al. 2023) with distances divided by "
        "their mean, of the softmax over all experts, with top k too; 0: off"),
    moe.number<&Moe::similarity_same>("similarity_same", not_negative,
                                      "the same as published, with plain distances: of one expert's samples"),
    moe.number<&Moe::similarity_different>("similarity_different", not_negative,
                                           "as published: of different experts' samples"),
    moe.integer<&Moe::similarity_layer>(
        "similarity_layer", 0, 1'000,
        "distances of 0: the samples; k: the output of the gate's k-th layer with weights", "layers"),
    moe.choice<&Moe::placement, placement_words>(
        "placement", "block: neighbouring experts share a rank; cyclic: expert e on rank e mod R"),
};

constexpr Table<&Config::optim> optim{"optim"};
constexpr std::array optim_fields = {
    optim.choice<&Optim::name, optimizer_words>(
        "name", "the optimiser; normalised_sgd divides each network's gradient by its norm"),
    optim.number<&Optim::learning_rate>("learning_rate", above_zero, "after warm-up, before decay"),
    optim.choice<&Optim::gate_name, gate_optimizer_words>("gate_name", "the gate's optimiser"),
    optim.number<&Optim::gate_learning_rate>(
        "gate_learning_rate", not_negative, "the gate's, with the same warm-up and schedule; 0: learning_rate"),
    optim.choice<&Optim::gradient_norm, norm_words>(
        "gradient_norm", "normalised_sgd: norm of the whole gradient, or the sum of its tensors' norms"),
    optim.number<&Optim::beta1>("beta1", fraction_below_one,
                                "adam: decay of the gradient's mean; at most 0.999999"),
    optim.number<&Optim::beta2>("beta2", fraction_below_one,
                                "adam: decay of the squared gradient's mean; at most 0.999999"),
    optim.number<&Optim::epsilon>("epsilon", above_zero, "adam: added to the denominator; at least 1.2e-38"),
    optim.number<&Optim::momentum>("momentum", fraction_below_one,
                                   "sgd: decay of the velocity; 0: none; at most 0.999999"),
    optim.number<&Optim::weight_decay>(
        "weight_decay", not_negative,
        "L2: times the weight, added to the gradient (by normalised_sgd after it was divided)"),
    optim.number<&Optim::clip_norm>("clip_norm", not_negative,
                                    "largest norm of the whole gradient; 0: no clipping"),
    optim.choice<&Optim::schedule, schedule_words>("schedule", "of the learning rate after warm-up"),
    optim.integer<&Optim::warmup_steps>("warmup_steps", 0, largest_count,
                                        "the learning rate rises linearly over these", "steps"),
    optim.integer<&Optim::schedule_steps>("schedule_steps", 0, largest_count,
                                          "the schedule's end; 0: epochs x steps per epoch", "steps"),
};

constexpr Table<&Config::train> train{"train"};
constexpr std::array train_fields = {
    train.integer<&Train::shards>(
        "shards", 1, 1'000'000, "parts of the global batch whose sums are kept apart; part of the arithmetic"),
    train.integer<&Train::batch_size>("batch_size", 1, largest_count, "the global batch, over all ranks",
                                      "samples"),
    train.integer<&Train::epochs>("epochs", 1, largest_count, "passes over the training samples", "epochs"),
    train.integer<&Train::max_steps>("max_steps", 0, largest_count,
                                     "stops after these, the schedule unchanged; 0: no limit", "steps"),
    train.choice<&Train::order, order_words>("order", "of the samples in an epoch"),
    train.number<&Train::stop_loss>("stop_loss", not_negative,
                                    "ends the run when a batch's loss is at most this; 0: never"),
    train.number<&Train::stop_loss_rise>(
        "stop_loss_rise", not_negative,
        "ends the run when a batch's loss is this much above the smallest so far; 0: never"),
    train.integer<&Train::stop_after_steps>("stop_after_steps", 0, largest_count,
                                            "the two above count from here on", "steps"),
    train.choice<&Train::freeze, freeze_words>("freeze", "networks that training leaves as they are"),
    train.choice<&Train::precision, precision_words>("precision", "of the products; sums are float32 in both"),
    train.integer<&Train::log_every_steps>("log_every_steps", 1, largest_count, "between two progress lines",
                                           "steps"),
};

constexpr Table<&Config::checkpoint> checkpoint{"checkpoint"};
constexpr std::array checkpoint_fields = {
    checkpoint.integer<&Checkpoint::every_steps>(
        "every_steps", 0, largest_count, "between two checkpoints; 0: at the end of every epoch", "steps"),
    checkpoint.integer<&Checkpoint::keep_last>(
        "keep_last", 1, largest_count, "newest checkpoints kept; the best one is kept besides", "files"),
};

constexpr std::array all_sections = {
    Section{"run", "where and how it runs", run_fields},
    Section{"data", "the samples", data_fields},
    Section{"model", "the networks", model_fields},
    Section{"init", "the first weights of a new run", init_fields},
    Section{"moe", "the mixture of experts", moe_fields},
    Section{"optim", "the optimiser and its schedule", optim_fields},
    Section{"train", "the training loop", train_fields},
    Section{"checkpoint", "what is saved, and when", checkpoint_fields},
};

}  // namespace

bool Range::contains(double value) const {
  return std::isfinite(value) && (min_excluded ? value > min : value >= min) &&
         (max_excluded ? value < max : value <= max);
}

std::string Field::name() const { return fmt::format("{}.{}", section, key); }

std::span<const Section> sections() { return all_sections; }

}  // namespace switchyard::config
