// The slow, obvious form of what follows a convolution of many channels: batch norm, a skip, ReLU, 2x2 max
// pooling, in float64. Shares nothing with src/ops.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

namespace switchyard::reference {

// Images are [rows][height][width][channels], and so are results.
struct NormPoolSizes {
  int rows = 0;
  int height = 0;
  int width = 0;
  int channels = 0;
  bool relu = false;
  bool max_pool = false;
  double most = std::numeric_limits<double>::infinity();  // that relu lets through

  int out_height() const { return max_pool ? height / 2 : height; }
  int out_width() const { return max_pool ? width / 2 : width; }
  std::size_t in(int row, int y, int x, int c) const;
  std::size_t out(int row, int y, int x, int c) const;
  std::size_t in_count() const { return in(rows, 0, 0, 0); }
  std::size_t out_count() const { return out(rows, 0, 0, 0); }
};

struct NormPool {
  std::vector<double> out;
  std::vector<std::size_t> source;  // of each result: the place of z that it came from, the first on ties
};
NormPool norm_pool(const NormPoolSizes&, const std::vector<double>& z, const std::vector<double>& scale,
                   const std::vector<double>& shift, const std::vector<double>& skip = {});
// The gradient at the places of z before scale and shift, of a loss with gradient d_out.
std::vector<double> norm_pool_backward(const NormPoolSizes&, const NormPool&, const std::vector<double>& d_out);

// Per channel, over all rows and places.
struct ChannelStatistics {
  std::vector<double> mean, variance;
};
ChannelStatistics channel_statistics(const NormPoolSizes&, const std::vector<double>& z);

struct BatchNormGradient {
  std::vector<double> z, gamma, beta;
};
// From dy, the gradient behind gamma xhat + beta, with the statistics of all rows.
BatchNormGradient batch_norm_backward(const NormPoolSizes&, const std::vector<double>& z,
                                      const std::vector<double>& dy, const std::vector<double>& gamma,
                                      double epsilon);

}  // namespace switchyard::reference
