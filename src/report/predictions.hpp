// What a model said of samples, for the report of its run: which expert took which.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "report/picture.hpp"

namespace switchyard::report {

// Of N samples of a split, in order; K slots each.
struct Predictions {
  std::string split;       // "test"
  std::string checkpoint;  // whose model it was
  bool is_of_run = true;   // whether that is a checkpoint of the run, or nothing tells
  std::vector<std::int64_t> ids;
  std::vector<double> labels;                 // empty: the data have none
  std::vector<double> predicted;              // the class, or a number; empty: unknown
  bool are_classes = true;                    // and not real numbers
  bool of_classes = true;                     // whether one of them is known to be right
  std::vector<std::string> class_names = {};  // by label, if they have names
  std::vector<double> certainty;              // the probability of the predicted class; empty: there is none
  index_t slots = 0;
  std::vector<std::int64_t> experts;  // [N][K]
  std::vector<float> gate_weights;    // [N][K]
  // Of a sample, which it reads; an empty one where the sample is none. Null: samples are no pictures.
  std::function<Picture(index_t sample)> picture;
  // The name or number of a sample's cluster; null: they have none.
  std::function<std::string(index_t sample)> cluster;

  index_t samples() const { return static_cast<index_t>(ids.size()); }
};

// An expert and the samples for which it has the largest weight.
struct TakenSamples {
  std::int64_t expert = 0;
  index_t count = 0;
  index_t wrong = 0;
  // The `wanted` samples that it has most of, and those for which the next expert is nearest to it (with one
  // slot: of which it has least). Where weights are the same, by the certainty of the prediction.
  std::vector<index_t> certain;
  std::vector<index_t> contested;
};
// Of all experts that took a sample, in their order. A sample is in one of the two lists at most.
std::vector<TakenSamples> taken_samples(const Predictions& predictions, std::size_t wanted);

// The section of a run's page: samples of each expert, with their pictures or as tables, and where the wrong
// predictions are. At most about 1 MB: with many experts, or large pictures, there are fewer samples of each.
std::string run_samples(const Predictions& predictions);

}  // namespace switchyard::report
