// The router z-loss (Zoph et al. 2022, ST-MoE): weight times the mean of (log sum_e e^z_e)^2.
#include "moe/regularisers/mean_of_scores.hpp"

namespace switchyard::moe {

Made make_regulariser(Of<&RegulariserWeights::z_loss>, const Options& options) {
  if (options.z_loss == 0) return nullptr;
  return std::make_unique<MeanOfScores>(options.z_loss, &RoutedSamples::ScoreStatistics::squared_log_sums,
                                        &RegulariserGradients::z_loss);
}

}  // namespace switchyard::moe
