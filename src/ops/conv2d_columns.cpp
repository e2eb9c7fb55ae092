#include "ops/conv2d_columns.hpp"

#include <algorithm>

#include "device/launch.hpp"
#include "ops/kernels/im2col.hpp"
#include "ops/product.hpp"
#include "ops/rows.hpp"

namespace switchyard::ops {
namespace {

constexpr index_t most_column_bytes = index_t{64} << 20;

// The rows of the result of some images.
struct Piece {
  index_t images;
  index_t in_offset, out_offset;  // of its first image, in floats
  index_t rows;
  bool is_first;
};

// body(piece) for each, with memory for the columns of one.
template <class Body>
void for_each_piece(device::Context& context, const Conv2dShape& s, const Body& body) {
  const kernels::ColumnGeometry g(s);
  const index_t most = std::min(images_of_piece(s), s.batch);
  device::Workspace& workspace = context.workspace();
  const device::Workspace::Mark mark = workspace.mark();
  float* const columns = workspace.allocate<float>(most * g.places() * g.columns()).data();
  for (index_t first = 0; first < s.batch; first += most) {
    const index_t images = std::min(most, s.batch - first);
    body(Piece{.images = images,
               .in_offset = first * g.height * g.width * g.channels,
               .out_offset = first * g.places() * s.out_channels,
               .rows = images * g.places(),
               .is_first = first == 0},
         columns);
  }
  workspace.release(mark);
}

void to_columns(device::Context& context, const Conv2dShape& s, const float* images, index_t rows,
                float* columns) {
  device::for_each_row(context, rows, kernels::ImagesToColumns{kernels::ColumnGeometry(s), images, columns});
}

}  // namespace

index_t images_of_piece(const Conv2dShape& s) {
  const kernels::ColumnGeometry g(s);
  return std::max<index_t>(most_column_bytes / (g.places() * g.columns() * size_of<float>), 1);
}

void conv2d_forward_by_columns(device::Context& context, const Conv2dShape& s, const float* x,
                               const float* weight, const float* bias, float* y) {
  const index_t width = kernels::ColumnGeometry(s).columns();
  for_each_piece(context, s, [&](const Piece& piece, float* columns) {
    to_columns(context, s, x + piece.in_offset, piece.rows, columns);
    matmul(context,
           {.m = piece.rows,
            .n = s.out_channels,
            .k = width,
            .lda = width,
            .ldb = width,
            .ldc = s.out_channels,
            .transpose_b = Transpose::yes,
            .epilogue = bias == nullptr ? Epilogue::none : Epilogue::bias},
           columns, weight, y + piece.out_offset, bias);
  });
}

void conv2d_backward_data_by_columns(device::Context& context, const Conv2dShape& s, const float* d_y,
                                     const float* weight, float* d_x) {
  const kernels::ColumnGeometry g(s);
  const index_t width = g.columns();
  for_each_piece(context, s, [&](const Piece& piece, float* columns) {
    matmul(
        context,
        {.m = piece.rows, .n = width, .k = s.out_channels, .lda = s.out_channels, .ldb = width, .ldc = width},
        d_y + piece.out_offset, weight, columns);
    device::for_each_row(context, piece.images * g.height * g.width,
                         kernels::ColumnsToImages{g, columns, d_x + piece.in_offset});
  });
}

void conv2d_backward_weights_by_columns(device::Context& context, const Conv2dShape& s, const float* x,
                                        const float* d_y, float* d_weight, float* d_bias) {
  const index_t width = kernels::ColumnGeometry(s).columns();
  const auto add_piece = [&](const Piece& piece, const float* columns) {
    matmul(context,
           {.m = s.out_channels,
            .n = width,
            .k = piece.rows,
            .lda = s.out_channels,
            .ldb = width,
            .ldc = width,
            .transpose_a = Transpose::yes,
            .accumulate = !piece.is_first},
           d_y + piece.out_offset, columns, d_weight);
  };
  for_each_piece(context, s, [&](const Piece& piece, float* columns) {
    to_columns(context, s, x + piece.in_offset, piece.rows, columns);
    add_piece(piece, columns);
  });
  if (s.batch == 0) add_piece({.images = 0, .in_offset = 0, .out_offset = 0, .rows = 0, .is_first = true}, x);
  if (d_bias == nullptr) return;
  const index_t rows = s.batch * s.out_height() * s.out_width();
  column_sums(context, {d_y, rows, s.out_channels}, {d_bias, s.out_channels});
}

}  // namespace switchyard::ops
