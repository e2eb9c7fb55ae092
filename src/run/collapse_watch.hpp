// Says when the gate collapses: one expert takes nearly all samples, or most experts take none.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/options.hpp"
#include "moe/statistics.hpp"

namespace switchyard::run {

// Used by the root, at every evaluation in training.
class CollapseWatch {
 public:
  // importance: moe.importance of the run; nothing where the gate cannot learn to balance.
  CollapseWatch(std::optional<double> importance, model::Frozen frozen)
      : importance_(importance), frozen_(frozen) {}

  // One line, how the samples are spread and what to try, where a collapse begins; empty while it lasts and
  // where there is none.
  std::string observe(const moe::Statistics& statistics);

 private:
  std::string advice() const;

  std::optional<double> importance_;
  model::Frozen frozen_;
  std::vector<char> collapsed_;  // by mixture layer
};

}  // namespace switchyard::run
