#include "data/detail/image_map.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace switchyard::data::detail {
Turn::Turn(double degrees, PlaneSize size) : size_(size) {
  // Of the nearest quarter and a rest, so that sines and cosines of whole quarters are whole numbers.
  int quarters = 0;
  const double rest = std::remquo(degrees, 90.0, &quarters) * std::numbers::pi / 180;
  sine_ = std::sin(rest);
  cosine_ = std::cos(rest);
  for (int turned = 0; turned < (quarters & 3); ++turned) {
    const double sine = sine_;
    sine_ = cosine_;
    cosine_ = -sine;
  }
}

Turn::Sources Turn::sources(index_t y, index_t x) const {
  const double middle_y = static_cast<double>(size_.height - 1) / 2, dy = static_cast<double>(y) - middle_y;
  const double middle_x = static_cast<double>(size_.width - 1) / 2, dx = static_cast<double>(x) - middle_x;
  // y grows downwards.
  const double from_x = middle_x + dx * cosine_ - dy * sine_;
  const double from_y = middle_y + dx * sine_ + dy * cosine_;
  const double left = std::floor(from_x), top = std::floor(from_y);
  const double right_share = from_x - left, lower_share = from_y - top;
  Sources found;
  for (const index_t down : {0, 1}) {
    const index_t row = static_cast<index_t>(top) + down;
    const double row_share = down == 1 ? lower_share : 1 - lower_share;
    if (row < 0 || row >= size_.height || row_share == 0) continue;
    for (const index_t aside : {0, 1}) {
      const index_t column = static_cast<index_t>(left) + aside;
      const double share = row_share * (aside == 1 ? right_share : 1 - right_share);
      if (column < 0 || column >= size_.width || share == 0) continue;
      found.pixel[as_size(found.count)] = row * size_.width + column;
      found.share[as_size(found.count)] = share;
      ++found.count;
    }
  }
  return found;
}

PixelMap PixelMap::turn(PlaneSize size, double degrees) {
  PixelMap map(size);
  const Turn turn(degrees, size);
  for (index_t y = 0; y < size.height; ++y) {
    for (index_t x = 0; x < size.width; ++x) {
      const Turn::Sources sources = turn.sources(y, x);
      for (int i = 0; i < sources.count; ++i) map.add(sources.pixel[as_size(i)], sources.share[as_size(i)]);
      map.end_pixel();
    }
  }
  return map;
}

PixelMap PixelMap::centre_crop(PlaneSize from, PlaneSize to) {
  PixelMap map(to);
  const index_t top = (from.height - to.height) / 2, left = (from.width - to.width) / 2;
  for (index_t y = 0; y < to.height; ++y) {
    for (index_t x = 0; x < to.width; ++x) {
      map.add((top + y) * from.width + left + x, 1);
      map.end_pixel();
    }
  }
  return map;
}

PixelMap PixelMap::resize(PlaneSize from, PlaneSize to) {
  PixelMap map(to);
  const std::vector<SideTerms> rows = resized_side(from.height, to.height);
  const std::vector<SideTerms> columns = resized_side(from.width, to.width);
  for (const SideTerms& row : rows) {
    for (const SideTerms& column : columns) {
      for (std::size_t i = 0; i < row.shares.size(); ++i) {
        const index_t first = (row.first + static_cast<index_t>(i)) * from.width + column.first;
        for (std::size_t j = 0; j < column.shares.size(); ++j) {
          const double share = row.shares[i] * column.shares[j];
          if (share != 0) map.add(first + static_cast<index_t>(j), share);
        }
      }
      map.end_pixel();
    }
  }
  return map;
}

void PixelMap::apply(const double* plane, double* result) const {
  const Term* term = terms_.data();
  for (const index_t end : ends_) {
    const Term* const last = terms_.data() + end;
    double sum = 0;
    for (; term < last; ++term) sum += term->share * plane[term->pixel];
    *result++ = sum;
  }
}

}  // namespace switchyard::data::detail
