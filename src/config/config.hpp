// The configuration of a run: plain structs, one field table each.
//
// config: what a user may set, with defaults, ranges and help. Options, validation, printing and the
// documentation all come from the field tables in fields.cpp; nothing else lists keys. No I/O of files here
// apart from text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace switchyard::config {

enum class DeviceChoice { automatic, cpu, cuda };
enum class ResumeMode { never, automatic };
enum class DataSource { idx, cifar, random, clusters };
// Which of CIFAR-100's two labels a sample has.
enum class LabelLevel { fine, coarse };
// What happens to an image of the training split each time that training visits it.
enum class Augmentation { none, flip_crop };
enum class SampleOrder { shuffled, fixed };
// What the mixture's output is and how it is scored; model/objective.hpp has the formulas.
enum class Loss { likelihood, stochastic, predicted_loss, cross_entropy, logistic, double_softmax };
enum class InitialValues { uniform, normal };
// The networks that a new run reads from another run's checkpoint.
enum class InitParts { all, gate, experts };
// What multiplies a chosen expert's output.
enum class GateValue { softmax, noisy_softmax, noisy_logit };
enum class GateNoise { none, uniform, normal };
enum class NoiseDraw { every_step, once };
enum class NoiseWhen { training, always };
enum class PlacementRule { block, cyclic };
enum class OptimizerKind { adam, sgd, normalised_sgd };
// The gate's: that of the experts, or one of its own.
enum class GateOptimizer { same, adam, sgd, normalised_sgd };
// The norm that normalised_sgd divides a network's gradient by.
enum class GradientNorm { whole, sum_of_tensors };
enum class ScheduleKind { constant, cosine };
enum class Precision { float32, bf16 };
// The networks that training leaves as they are.
enum class Freeze { none, gate, experts };

// Of a count that follows from other things where nobody sets it; "auto" in a file.
inline constexpr std::int64_t automatic_count = -1;

struct Run {
  std::string dir = "runs/latest";  // the run folder
  std::uint64_t seed = 1;
  DeviceChoice device = DeviceChoice::automatic;
  int threads = 0;  // per rank; 0: the rank's share of its processors
  ResumeMode resume = ResumeMode::never;
  double max_minutes = 0;    // 0: no limit
  double wait_seconds = 60;  // how long a rank waits for the others in one operation before the run ends
};

struct Data {
  DataSource source = DataSource::idx;
  std::string dir;  // idx, cifar: the folder of the files
  // idx, cifar: taken from the training files; automatic: a tenth of them, 5,000 at most.
  std::int64_t validation_samples = automatic_count;
  bool validation_balanced = false;           // the same number of each class
  LabelLevel labels = LabelLevel::fine;       // cifar: of CIFAR-100
  Augmentation augment = Augmentation::none;  // cifar: of training images
  std::vector<double> mean = {0};  // of the pixels as value/255; one for all channels or one for each
  std::vector<double> standard_deviation = {1};
  std::int64_t random_samples = 4096;  // random: training samples; a quarter of it for validation and for test
  std::int64_t random_features = 256;
  std::int64_t random_classes = 10;
  // clusters: Definition 3.1 of Chen et al. 2022; ranges are those of its uniform draws.
  std::uint64_t seed = 0;  // random, clusters: of the samples; 0: run.seed
  std::int64_t clusters = 4;
  std::int64_t cluster_patches = 4;
  std::int64_t cluster_patch_size = 50;
  std::int64_t cluster_samples = 16000;  // for training, and as many for test
  double cluster_signal_min = 0.5;       // alpha
  double cluster_signal_max = 2;
  double cluster_center_min = 1;  // beta
  double cluster_center_max = 2;
  double cluster_noise_min = 0.5;  // gamma
  double cluster_noise_max = 3;
  double cluster_patch_noise = 1;  // sigma_p
  double cluster_scale = 10;       // multiplies every number of a sample
};

// Layers as config/network_spec.hpp reads them.
struct Model {
  std::string gate;    // ends in one output per expert; "none": one expert
  std::string expert;  // ends in one output per class; in one with Loss::logistic
  Loss loss = Loss::likelihood;
  InitialValues init = InitialValues::uniform;
  double gate_init_scale = 1;  // uniform: times the default bound; normal: the standard deviation
  double expert_init_scale = 1;
};

// The first weights of a new run; a run that is resumed has its own.
struct Init {
  std::string from;  // a checkpoint, or a run folder: its newest one; empty: none
  InitParts parts = InitParts::all;
  std::int64_t draw = 0;  // of what is not read: one of many draws that run.seed gives
};

struct Moe {
  std::int64_t experts = 5;
  std::int64_t top_k = 0;  // 0: dense, every expert sees every sample
  std::string partition;   // with model.gate = by_label:experts: the labels of each expert, "0 7 | 1 9"
  // The experts learn from the mixture with gate softmax(z / T), the gate from that with softmax(z).
  double expert_temperature = 1;
  GateValue gate_value = GateValue::softmax;
  GateNoise noise = GateNoise::none;
  double noise_scale = 0;  // uniform: range, 0: 1; normal: standard deviation, 0: 1/E
  NoiseDraw noise_draw = NoiseDraw::every_step;
  NoiseWhen noise_when = NoiseWhen::training;
  double importance = 0;    // weight of the importance regulariser
  double balance = 0;       // weight of the Switch balance loss
  double load = 0;          // weight of the load regulariser
  double z_loss = 0;        // weight of the router z-loss
  double gate_entropy = 0;  // weight of the entropy of a sample's gate probabilities
  double similarity = 0;    // weight of the sample-similarity regulariser, or the two published ones
  double similarity_same = 0;
  double similarity_different = 0;
  std::int64_t similarity_layer = 0;  // of the gate, whose output distances are taken of; 0: the inputs
  PlacementRule placement = PlacementRule::block;
};

// The weights of the regularisers, each with its key.
struct Regulariser {
  std::string_view key;
  double Moe::*weight;
};
inline constexpr Regulariser regularisers[] = {{"importance", &Moe::importance},
                                               {"balance", &Moe::balance},
                                               {"load", &Moe::load},
                                               {"z_loss", &Moe::z_loss},
                                               {"gate_entropy", &Moe::gate_entropy},
                                               {"similarity", &Moe::similarity},
                                               {"similarity_same", &Moe::similarity_same},
                                               {"similarity_different", &Moe::similarity_different}};

struct Optim {
  OptimizerKind name = OptimizerKind::adam;
  double learning_rate = 1e-3;
  GateOptimizer gate_name = GateOptimizer::same;
  double gate_learning_rate = 0;  // 0: learning_rate
  GradientNorm gradient_norm = GradientNorm::whole;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double momentum = 0;  // SGD
  double weight_decay = 0;
  double clip_norm = 0;  // 0: no clipping
  ScheduleKind schedule = ScheduleKind::constant;
  std::int64_t warmup_steps = 0;
  std::int64_t schedule_steps = 0;  // 0: epochs x steps per epoch
};

struct Train {
  std::int64_t shards = 8;
  std::int64_t batch_size = 512;
  std::int64_t epochs = 20;
  std::int64_t max_steps = 0;  // 0: no limit; only stops, never changes the schedule
  SampleOrder order = SampleOrder::shuffled;
  // Ends the run before its last step, when the loss of a batch falls to stop_loss, or lies stop_loss_rise
  // above the smallest so far; from stop_after_steps on. 0: never.
  double stop_loss = 0;
  double stop_loss_rise = 0;
  std::int64_t stop_after_steps = 0;
  Freeze freeze = Freeze::none;
  Precision precision = Precision::float32;
  std::int64_t log_every_steps = 50;
};

struct Checkpoint {
  std::int64_t every_steps = 0;  // 0: at the end of every epoch
  std::int64_t keep_last = 2;
};

struct Config {
  Run run;
  Data data;
  Model model;
  Init init;
  Moe moe;
  Optim optim;
  Train train;
  Checkpoint checkpoint;
};

}  // namespace switchyard::config
