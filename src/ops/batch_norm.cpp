#include "ops/batch_norm.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/kernels/batch_norm.hpp"

namespace switchyard::ops {

void use_batch_statistics(device::Context& context, Span<const SetTiles> sets, Span<const Moments> of_tiles,
                          const NormValues& values, const NormStatistics& statistics) {
  SY_EXPECTS(statistics.channels > 0 && std::ssize(of_tiles) % statistics.channels == 0,
             "{} moments of tiles for {} channels", of_tiles.size(), statistics.channels);
  device::for_each(context, std::ssize(sets) * statistics.channels,
                   kernels::UseBatchStatistics{sets.data(), of_tiles.data(), values, statistics});
}

void use_running_statistics(device::Context& context, index_t sets, const NormValues& values,
                            const NormStatistics& statistics) {
  device::for_each(context, sets * statistics.channels, kernels::UseRunningStatistics{values, statistics});
}

void join_backward_sums(device::Context& context, Span<const SetTiles> sets, index_t channels, index_t places,
                        Span<const double> of_tiles, const NormMeans& means) {
  SY_EXPECTS(channels > 0 && std::ssize(of_tiles) % (2 * channels) == 0, "{} sums of tiles for {} channels",
             of_tiles.size(), channels);
  SY_EXPECTS(std::ssize(of_tiles) / (2 * channels) <= kernels::most_tree_values, "{} tiles in one tree",
             std::ssize(of_tiles) / (2 * channels));
  device::for_each(context, std::ssize(sets) * 2 * channels,
                   kernels::JoinBackwardSums{sets.data(), channels, places, of_tiles.data(), means});
}

void norm_gradients(device::Context& context, index_t channels, Span<const double> sums, index_t zeros,
                    tensor::Matrix gradients) {
  SY_EXPECTS(gradients.cols == zeros + 2 * channels && std::ssize(sums) == gradients.rows * 2 * channels,
             "{} sums of {} channels into {} x {} gradients", sums.size(), channels, gradients.rows,
             gradients.cols);
  device::for_each(context, gradients.rows * gradients.cols,
                   kernels::NormGradients{channels, zeros, sums.data(), gradients});
}

}  // namespace switchyard::ops
