// Decided gates: weight times the mean entropy of the softmax over all experts, in nats.
#include "moe/regularisers/mean_of_scores.hpp"

namespace switchyard::moe {

Made make_regulariser(Of<&RegulariserWeights::gate_entropy>, const Options& options) {
  if (options.gate_entropy == 0) return nullptr;
  return std::make_unique<MeanOfScores>(options.gate_entropy, &RoutedSamples::ScoreStatistics::entropies,
                                        &RegulariserGradients::entropy);
}

}  // namespace switchyard::moe
