#include "data/detail/image_scaling.hpp"

#include <algorithm>
#include <cmath>

#include "base/contract.hpp"

namespace switchyard::data::detail {
namespace {

// What a pixel of the result is made of: pixels from `first` on.
struct Share {
  index_t first = 0;
  Vector<double> weights;
};

Vector<Share> shares_of(index_t from, index_t to) {
  const double step = static_cast<double>(from) / static_cast<double>(to);
  const double reach = std::max(1.0, step);
  Vector<Share> shares(to);
  for (index_t i = 0; i < to; ++i) {
    const double place = (static_cast<double>(i) + 0.5) * step;
    Share& share = shares[i];
    share.first = std::max<index_t>(0, static_cast<index_t>(std::floor(place - reach - 0.5)));
    const index_t end = std::min(from, static_cast<index_t>(std::ceil(place + reach + 0.5)));
    double sum = 0;
    for (index_t k = share.first; k < end; ++k) {
      share.weights.push_back(std::max(0.0, 1 - std::abs(static_cast<double>(k) + 0.5 - place) / reach));
      sum += share.weights.back();
    }
    for (double& weight : share.weights) weight /= sum;
  }
  return shares;
}

}  // namespace

Vector<std::uint8_t> resized(Span<const std::uint8_t> plane, ImageSize from, ImageSize to) {
  SY_EXPECTS(std::ssize(plane) == from.height * from.width, "{} pixels of {} x {}", plane.size(), from.height,
             from.width);
  const Vector<Share> columns = shares_of(from.width, to.width), rows = shares_of(from.height, to.height);
  Vector<double> narrowed(from.height * to.width);
  for (index_t y = 0; y < from.height; ++y) {
    const std::uint8_t* const row = plane.data() + y * from.width;
    for (index_t x = 0; x < to.width; ++x) {
      const Share& share = columns[x];
      double sum = 0;
      for (std::size_t k = 0; k < share.weights.size(); ++k)
        sum += share.weights[k] * row[as_size(share.first) + k];
      narrowed[y * to.width + x] = sum;
    }
  }
  Vector<std::uint8_t> result(to.height * to.width);
  Vector<double> sums(to.width);
  for (index_t y = 0; y < to.height; ++y) {
    const Share& share = rows[y];
    std::ranges::fill(sums, 0.0);
    for (index_t k = 0; k < std::ssize(share.weights); ++k) {
      const double* const row = narrowed.data() + (share.first + k) * to.width;
      for (index_t x = 0; x < to.width; ++x) sums[x] += share.weights[k] * row[x];
    }
    // A sum of weights that rounding left at a little more than 1 may lie above 255.
    for (index_t x = 0; x < to.width; ++x)
      result[y * to.width + x] = static_cast<std::uint8_t>(std::min(255.0, std::floor(sums[x] + 0.5)));
  }
  return result;
}

}  // namespace switchyard::data::detail
