// Weight gradients of convolutions for ops/conv2d_columns.hpp, against Team (device/team.hpp).
#pragma once

#include "base/host_device.hpp"
#include "ops/kernels/block_product.hpp"
#include "ops/kernels/im2col.hpp"
#include "ops/tile_rows.hpp"

namespace switchyard::ops::kernels {

// The images of a tile in parts, each of which has a sum of its own: a tile has many terms and few weights.
struct ImageParts {
  TileRows rows;
  index_t images;  // of a part
  index_t most;    // parts of a tile

  SY_HD index_t count(index_t tile) const { return (of(tile).size() + images - 1) / images; }
  // Images of the batch.
  SY_HD IndexRange of(index_t tile) const {
    const Tile& t = rows.tiles[tile];
    const index_t first = t.rows < rows.first ? t.rows : rows.first;
    const index_t count = t.rows - first < rows.rows ? t.rows - first : rows.rows;
    return {t.first_row + first, t.first_row + first + count};
  }
  SY_HD IndexRange of_part(index_t tile, index_t part) const {
    const IndexRange all = of(tile);
    const index_t begin = all.begin + part * images;
    return {begin, all.end - begin < images ? all.end : begin + images};
  }
};

// What a kernel sees at the places of the result of images: term (image, place), column of ColumnGeometry; and
// behind the columns one of ones, by which the gradient of a bias is a product.
struct SeenByKernel {
  const ColumnGeometry* g;
  const float* x;  // of the first image
  index_t first_column;

  SY_HD static constexpr bool terms_are_neighbours() { return false; }
  SY_HD float at(index_t place, index_t term) const {
    const index_t column = first_column + place;
    if (column == g->columns()) return 1.0F;
    const GridPlace of_image(term, g->places());
    const GridPlace at_result(of_image.column, g->out_width);
    const GridPlace of_channel(column, g->taps());
    const GridPlace tap(of_channel.column, g->kernel_width);
    const index_t row = at_result.row * g->stride_height - g->padding_height + tap.row;
    const index_t pixel = at_result.column * g->stride_width - g->padding_width + tap.column;
    if (row < 0 || row >= g->height || pixel < 0 || pixel >= g->width) return 0.0F;
    return x[((of_image.row * g->height + row) * g->width + pixel) * g->channels + of_channel.row];
  }
};

// "Row" is a tile, a part of it, and a block of its gradient.
struct ConvWeightGradients {
  using Block = BlockProduct<float>;
  static constexpr index_t side = Block::side;

  ColumnGeometry g;
  ImageParts parts;
  const float* x;
  const float* d_y;
  index_t out_channels;
  bool bias;
  float* gradients;  // [tiles, most parts, width]
  index_t width = out_channels * (g.columns() + (bias ? 1 : 0));
  index_t row_blocks = (out_channels + side - 1) / side;
  index_t column_blocks = (g.columns() + (bias ? 1 : 0) + side - 1) / side;

  static constexpr index_t scratch_bytes() { return Block::scratch_bytes(); }

  template <class Team>
  SY_HD void operator()(const Team& team, index_t at) const {
    const index_t range = at / (row_blocks * column_blocks), block = at % (row_blocks * column_blocks);
    const index_t tile = range / parts.most, part = range % parts.most;
    if (part >= parts.count(tile)) return;
    const IndexRange images = parts.of_part(tile, part);
    const index_t row = block / column_blocks * side, column = block % column_blocks * side;
    const index_t columns = g.columns();
    const Operand<float> a{d_y + images.begin * g.places() * out_channels + row, 1, out_channels};
    const SeenByKernel b{&g, x + images.begin * g.height * g.width * g.channels, column};
    float* const to = gradients + range * width;
    Block::compute(team, a, out_channels - row, b, columns + (bias ? 1 : 0) - column,
                   images.size() * g.places(),
                   [&](index_t r, index_t q, const Four<float>& sums, index_t count) {
                     for (int c = 0; c < 4; ++c) {
                       if (c >= count) continue;
                       const bool of_bias = column + q + c == columns;
                       to[of_bias ? out_channels * columns + row + r : (row + r) * columns + column + q + c] =
                           sums.value[c];
                     }
                   });
  }
};

// The parts of a tile, in order.
struct AddParts {
  ImageParts parts;
  const float* of_parts;  // [tiles, most parts, width]
  index_t width;
  float* gradients;
  index_t stride;

  SY_HD void operator()(index_t i) const {
    const index_t tile = i / width, column = i % width;
    const float* const first = of_parts + tile * parts.most * width + column;
    float sum = 0.0F;
    for (index_t part = 0; part < parts.count(tile); ++part)
      sum = part == 0 ? *first : sum + first[part * width];
    gradients[tile * stride + column] = sum;
  }
};

}  // namespace switchyard::ops::kernels
