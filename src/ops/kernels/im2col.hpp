// Kernels of ops/conv2d_columns.hpp, against Team (device/team.hpp).
#pragma once

#include "base/host_device.hpp"
#include "ops/conv2d.hpp"
#include "ops/kernels/pack.hpp"

namespace switchyard::ops::kernels {

// The sizes of a Conv2dShape as the kernels need them.
struct ColumnGeometry {
  explicit ColumnGeometry(const Conv2dShape& s)
      : channels(s.in_channels),
        height(s.height),
        width(s.width),
        kernel_height(s.kernel_height),
        kernel_width(s.kernel_width),
        stride_height(s.stride_height),
        stride_width(s.stride_width),
        padding_height(s.padding_height),
        padding_width(s.padding_width),
        out_height(s.out_height()),
        out_width(s.out_width()) {}

  index_t channels, height, width;
  index_t kernel_height, kernel_width, stride_height, stride_width, padding_height, padding_width;
  index_t out_height, out_width;

  SY_HD index_t taps() const { return kernel_height * kernel_width; }
  // Of a place of the result: what a kernel sees there, in the order of its weights [channel][u][v].
  SY_HD index_t columns() const { return channels * taps(); }
  SY_HD index_t places() const { return out_height * out_width; }
};

// "Row" is a place of the result of an image.
struct ImagesToColumns {
  ColumnGeometry g;
  const float* x;  // [images, height, width, channels]
  float* columns;  // [images * places, columns]

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const GridPlace of_image(row, g.places());
    const GridPlace place(of_image.column, g.out_width);
    const float* const image = x + of_image.row * g.height * g.width * g.channels;
    const index_t top = place.row * g.stride_height - g.padding_height;
    const index_t left = place.column * g.stride_width - g.padding_width;
    float* const to = columns + row * g.columns();
    team.for_each(g.columns(), [&](index_t i) {
      const GridPlace of_channel(i, g.taps());
      const GridPlace tap(of_channel.column, g.kernel_width);
      const index_t y = top + tap.row, at_x = left + tap.column;
      const bool inside = y >= 0 && y < g.height && at_x >= 0 && at_x < g.width;
      to[i] = inside ? image[(y * g.width + at_x) * g.channels + of_channel.row] : 0.0F;
    });
  }
};

// The mirror: a pixel is the sum of the places of columns that ImagesToColumns copied it to, in the order of
// the kernel's weights. "Row" is a pixel.
struct ColumnsToImages {
  ColumnGeometry g;
  const float* columns;
  float* x;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const GridPlace of_image(row, g.height * g.width);
    const GridPlace pixel(of_image.column, g.width);
    const float* const image = columns + of_image.row * g.places() * g.columns();
    team.for_each(g.channels, [&](index_t channel) {
      float sum = 0;
      for (index_t u = 0; u < g.kernel_height; ++u) {
        const index_t p = place_under(pixel.row + g.padding_height - u, g.stride_height, g.out_height);
        if (p < 0) continue;
        for (index_t v = 0; v < g.kernel_width; ++v) {
          const index_t q = place_under(pixel.column + g.padding_width - v, g.stride_width, g.out_width);
          if (q < 0) continue;
          const index_t tap = (channel * g.kernel_height + u) * g.kernel_width + v;
          sum += image[(p * g.out_width + q) * g.columns() + tap];
        }
      }
      x[row * g.channels + channel] = sum;
    });
  }

 private:
  // The place of the result that begins at `offset`; -1 if none does.
  SY_HD static index_t place_under(index_t offset, index_t stride, index_t places) {
    if (offset < 0 || offset % stride != 0) return -1;
    return offset / stride < places ? offset / stride : -1;
  }
};

}  // namespace switchyard::ops::kernels
