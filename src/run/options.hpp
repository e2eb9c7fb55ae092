// What a configuration says about the run itself: [run], [init], [checkpoint], [metrics] and [output].
#pragma once

#include <cstdint>
#include <string>

#include "config/schema.hpp"

namespace switchyard::run {

enum class DeviceChoice { automatic, cpu, cuda };
enum class ResumeMode { never, automatic };

struct Options {
  std::string dir = "runs/latest";  // the run folder
  std::uint64_t seed = 1;
  DeviceChoice device = DeviceChoice::automatic;
  int threads = 0;  // per rank; 0: the rank's share of its processors
  ResumeMode resume = ResumeMode::never;
  double max_minutes = 0;    // 0: no limit
  double wait_seconds = 60;  // how long a rank waits for the others in one operation before the run ends
};

// The first weights of a new run; a run that is resumed has its own.
struct InitOptions {
  std::string from;           // a checkpoint, or a run folder: its newest one; empty: none
  std::string parts = "all";  // patterns of the names of arrays: what is read of it
  std::int64_t draw = 0;      // of what is not read: one of many draws that run.seed gives
  double upcycle_noise = 0;   // of experts that are copies: by what share of itself a weight deviates
};

struct CheckpointOptions {
  std::int64_t every_steps = 0;  // 0: at the end of every epoch
  std::int64_t keep_last = 2;
};

struct MetricsOptions {
  std::int64_t every_steps = 1;  // a record of each step that is a multiple of this
};

// What is written besides, for other programs to look at.
struct OutputOptions {
  bool tensorboard = false;
  bool trace = false;
  std::int64_t trace_steps = 100;  // of a trace, at each end
};

config::Section run_section();
config::Section init_section();
config::Section checkpoint_section();
config::Section metrics_section();
config::Section output_section();

}  // namespace switchyard::run
