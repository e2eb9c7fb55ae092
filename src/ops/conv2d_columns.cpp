#include "ops/conv2d_columns.hpp"

#include <algorithm>

#include "device/launch.hpp"
#include "ops/counted.hpp"
#include "ops/kernels/conv_weights.hpp"
#include "ops/kernels/im2col.hpp"
#include "ops/product.hpp"

namespace switchyard::ops {
namespace {

constexpr index_t most_column_bytes = index_t{64} << 20;
// Of a weight gradient: so many are some 100 us of one multiprocessor.
constexpr index_t terms_of_part = 2048;

// The rows of the result of some images.
struct Piece {
  index_t images;
  index_t in_offset, out_offset;  // of its first image, in floats
  index_t rows;
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
               .rows = images * g.places()},
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

void conv2d_weight_gradients_by_columns(device::Context& context, const Conv2dShape& s, const TileRows& rows,
                                        const float* x, const float* d_y, tensor::Matrix gradients) {
  if (gradients.rows == 0) return;
  const index_t images = std::max<index_t>(terms_of_part / (s.out_height() * s.out_width()), 1);
  const kernels::ImageParts parts{rows, images, (rows.rows + images - 1) / images};
  device::Workspace& workspace = context.workspace();
  const device::Workspace::Mark mark = workspace.mark();
  kernels::ConvWeightGradients kernel{.g = kernels::ColumnGeometry(s),
                                      .parts = parts,
                                      .x = x,
                                      .d_y = d_y,
                                      .out_channels = s.out_channels,
                                      .bias = gradients.cols > s.weight_count(),
                                      .gradients = nullptr};
  kernel.gradients = workspace.allocate<float>(gradients.rows * parts.most * kernel.width).data();
  Conv2dShape all = s;
  all.batch = gradients.rows * rows.rows;
  add_multiply_adds(all.multiply_adds());
  device::for_each_row(context, gradients.rows * parts.most * kernel.row_blocks * kernel.column_blocks, kernel);
  device::for_each(context, gradients.rows * kernel.width,
                   kernels::AddParts{parts, kernel.gradients, kernel.width, gradients.data, gradients.stride});
  workspace.release(mark);
}

}  // namespace switchyard::ops
