#include "support/reference_norm_pool.hpp"

#include <algorithm>
#include <cmath>

#include "base/ids.hpp"

namespace switchyard::reference {
namespace {

std::size_t index(int row, int height, int y, int width, int x, int channels, int c) {
  return ((as_size(row) * as_size(height) + as_size(y)) * as_size(width) + as_size(x)) * as_size(channels) +
         as_size(c);
}

template <class F>
void for_each_value(const NormPoolSizes& s, const F& f) {
  for (int row = 0; row < s.rows; ++row)
    for (int y = 0; y < s.height; ++y)
      for (int x = 0; x < s.width; ++x)
        for (int c = 0; c < s.channels; ++c) f(s.in(row, y, x, c), as_size(c));
}

}  // namespace

std::size_t NormPoolSizes::in(int row, int y, int x, int c) const {
  return index(row, height, y, width, x, channels, c);
}
std::size_t NormPoolSizes::out(int row, int y, int x, int c) const {
  return index(row, out_height(), y, out_width(), x, channels, c);
}

NormPool norm_pool(const NormPoolSizes& s, const std::vector<double>& z, const std::vector<double>& scale,
                   const std::vector<double>& shift, const std::vector<double>& skip) {
  NormPool result{std::vector<double>(s.out_count()), std::vector<std::size_t>(s.out_count())};
  const int window = s.max_pool ? 2 : 1;
  for (int row = 0; row < s.rows; ++row)
    for (int y = 0; y < s.out_height(); ++y)
      for (int x = 0; x < s.out_width(); ++x)
        for (int c = 0; c < s.channels; ++c) {
          const std::size_t to = s.out(row, y, x, c);
          for (int i = 0; i < window * window; ++i) {
            const std::size_t from = s.in(row, window * y + i / window, window * x + i % window, c);
            const double value =
                scale[as_size(c)] * z[from] + shift[as_size(c)] + (skip.empty() ? 0.0 : skip[from]);
            if (i == 0 || value > result.out[to]) {
              result.out[to] = value;
              result.source[to] = from;
            }
          }
          if (s.relu) result.out[to] = std::clamp(result.out[to], 0.0, s.most);
        }
  return result;
}

std::vector<double> norm_pool_backward(const NormPoolSizes& s, const NormPool& forward,
                                       const std::vector<double>& d_out) {
  std::vector<double> dy(s.in_count(), 0.0);
  for (std::size_t i = 0; i < d_out.size(); ++i) {
    if (!s.relu || (forward.out[i] > 0 && forward.out[i] < s.most)) dy[forward.source[i]] = d_out[i];
  }
  return dy;
}

ChannelStatistics channel_statistics(const NormPoolSizes& s, const std::vector<double>& z) {
  ChannelStatistics result{std::vector<double>(as_size(s.channels)), std::vector<double>(as_size(s.channels))};
  const double n = static_cast<double>(s.rows * s.height * s.width);
  for_each_value(s, [&](std::size_t i, std::size_t c) { result.mean[c] += z[i] / n; });
  for_each_value(s, [&](std::size_t i, std::size_t c) {
    result.variance[c] += (z[i] - result.mean[c]) * (z[i] - result.mean[c]) / n;
  });
  return result;
}

// Ioffe and Szegedy 2015, section 3.
BatchNormGradient batch_norm_backward(const NormPoolSizes& s, const std::vector<double>& z,
                                      const std::vector<double>& dy, const std::vector<double>& gamma,
                                      double epsilon) {
  const ChannelStatistics batch = channel_statistics(s, z);
  const double n = static_cast<double>(s.rows * s.height * s.width);
  BatchNormGradient result{std::vector<double>(z.size()), std::vector<double>(as_size(s.channels)),
                           std::vector<double>(as_size(s.channels))};
  const auto xhat = [&](std::size_t i, std::size_t c) {
    return (z[i] - batch.mean[c]) / std::sqrt(batch.variance[c] + epsilon);
  };
  for_each_value(s, [&](std::size_t i, std::size_t c) {
    result.beta[c] += dy[i];
    result.gamma[c] += dy[i] * xhat(i, c);
  });
  for_each_value(s, [&](std::size_t i, std::size_t c) {
    result.z[i] = gamma[c] / std::sqrt(batch.variance[c] + epsilon) *
                  (dy[i] - result.beta[c] / n - xhat(i, c) * result.gamma[c] / n);
  });
  return result;
}

}  // namespace switchyard::reference
