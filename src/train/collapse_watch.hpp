// Says when the gate collapses: one expert takes nearly all samples, or most experts take none.
#pragma once

#include <string>

#include "config/config.hpp"
#include "moe/gate_statistics.hpp"

namespace switchyard::train {

// Used by the coordinator, at every evaluation at the end of an epoch.
class CollapseWatch {
 public:
  explicit CollapseWatch(const config::Config& config)
      : importance_(config.moe.importance), freeze_(config.train.freeze) {}

  // One line, how the samples are spread and what to try, where a collapse begins; empty while it lasts and
  // where there is none.
  std::string look(const moe::GateStatistics& statistics);

 private:
  double importance_;
  config::Freeze freeze_;
  bool collapsed_ = false;
};

}  // namespace switchyard::train
