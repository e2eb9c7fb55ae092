// The regularisers of a mixture in plain float64 loops, from their definitions.
#pragma once

#include <limits>

#include "support/reference_mixture.hpp"

namespace switchyard::reference {

// What the gate does with one sample.
struct Choice {
  std::vector<std::int64_t> experts;  // in falling order of their scores
  Values weights;                     // of the chosen
  Values factors;                     // what multiplies the chosen experts' outputs
  Values scores;                      // of all
  Values probabilities;               // of all
  Values chances;                     // of all: to be chosen under noise that is drawn anew for one of them
  double log_sum = 0;                 // log sum_e e^score
  double margin = std::numeric_limits<double>::infinity();
};

// All that the case asks for, with its weights, over all samples. distances[a][b]: of the similarity
// regulariser.
double regulariser_losses(const MixtureCase& test, const std::vector<Choice>& choices,
                          const std::vector<Values>& distances);

}  // namespace switchyard::reference
