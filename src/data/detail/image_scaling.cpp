#include "data/detail/image_scaling.hpp"

#include <algorithm>
#include <cmath>

#include "base/contract.hpp"

namespace switchyard::data::detail {
std::vector<SideTerms> resized_side(index_t from, index_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to), reach = std::max(scale, 1.0);
  std::vector<SideTerms> side(as_size(to));
  for (index_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const auto first = std::max<index_t>(static_cast<index_t>(std::floor(centre - reach + 0.5)), 0);
    const auto end = std::min<index_t>(static_cast<index_t>(std::floor(centre + reach + 0.5)), from);
    SideTerms& terms = side[as_size(i)];
    terms.first = first;
    double sum = 0;
    for (index_t place = first; place < end; ++place) {
      const double distance = std::abs(static_cast<double>(place) + 0.5 - centre) / reach;
      terms.shares.push_back(std::max(1 - distance, 0.0));
      sum += terms.shares.back();
    }
    for (double& share : terms.shares) share /= sum;
  }
  return side;
}

Vector<std::uint8_t> resized(Span<const std::uint8_t> plane, PlaneSize from, PlaneSize to) {
  SY_EXPECTS(std::ssize(plane) == from.height * from.width, "{} pixels of {} x {}", plane.size(), from.height,
             from.width);
  const std::vector<SideTerms> columns = resized_side(from.width, to.width);
  const std::vector<SideTerms> rows = resized_side(from.height, to.height);
  Vector<double> narrowed(from.height * to.width);
  for (index_t y = 0; y < from.height; ++y) {
    const std::uint8_t* const row = plane.data() + y * from.width;
    for (index_t x = 0; x < to.width; ++x) {
      const SideTerms& terms = columns[as_size(x)];
      double sum = 0;
      for (std::size_t k = 0; k < terms.shares.size(); ++k)
        sum += terms.shares[k] * row[as_size(terms.first) + k];
      narrowed[y * to.width + x] = sum;
    }
  }
  Vector<std::uint8_t> result(to.height * to.width);
  Vector<double> sums(to.width);
  for (index_t y = 0; y < to.height; ++y) {
    const SideTerms& terms = rows[as_size(y)];
    std::ranges::fill(sums, 0.0);
    for (index_t k = 0; k < std::ssize(terms.shares); ++k) {
      const double* const row = narrowed.data() + (terms.first + k) * to.width;
      for (index_t x = 0; x < to.width; ++x) sums[x] += terms.shares[as_size(k)] * row[x];
    }
    // A sum of weights that rounding left at a little more than 1 may lie above 255.
    for (index_t x = 0; x < to.width; ++x)
      result[y * to.width + x] = static_cast<std::uint8_t>(std::min(255.0, std::floor(sums[x] + 0.5)));
  }
  return result;
}

}  // namespace switchyard::data::detail
