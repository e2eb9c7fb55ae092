// The configuration of a run: plain structs, one field table each.
//
// config: what a user may set, with defaults, ranges and help. Options, validation, printing and the
// documentation all come from the field tables in fields.cpp; nothing else lists keys. No I/O of files here
// apart from text.
#pragma once

#include <cstdint>
#include <string>

namespace switchyard::config {

enum class DeviceChoice { automatic, cpu, cuda };
enum class ResumeMode { never, automatic };
enum class DataSource { idx, random };
enum class PlacementRule { block, cyclic };
enum class OptimizerKind { adam, sgd };
enum class ScheduleKind { constant, cosine };
enum class Precision { float32, bf16 };

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
  std::string dir;                         // idx: the folder of the four files
  std::int64_t validation_samples = 5000;  // taken from the training files
  double mean = 0;                         // of the pixels as value/255
  double standard_deviation = 1;
  std::int64_t random_samples = 4096;  // random: training samples; a quarter of it for validation and for test
  std::int64_t random_features = 256;
  std::int64_t random_classes = 10;
};

// Layers as config/network_spec.hpp reads them.
struct Model {
  std::string gate;    // its last dense layer has one output per expert
  std::string expert;  // its last dense layer has one output per class
};

struct Moe {
  std::int64_t experts = 5;
  std::int64_t top_k = 0;  // 0: dense, every expert sees every sample
  double importance = 0;   // weight of the importance regulariser
  PlacementRule placement = PlacementRule::block;
};

struct Optim {
  OptimizerKind name = OptimizerKind::adam;
  double learning_rate = 1e-3;
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
  Moe moe;
  Optim optim;
  Train train;
  Checkpoint checkpoint;
};

}  // namespace switchyard::config
