#include "nn/tied_embedding.hpp"

#include <cmath>

#include "device/thread_pool.hpp"
#include "ops/matmul.hpp"
#include "ops/rows.hpp"
#include "ops/tokens.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {

TiedEmbedding::TiedEmbedding(Trunk& trunk, const std::string& scope, index_t vocabulary, index_t width)
    : trunk_(&trunk),
      vocabulary_(vocabulary),
      width_(width),
      weight_(trunk.add(
          scope + "/weight", Role::embedding, {vocabulary, width}, BankArray::First::drawn,
          {.distribution = InitialValues::normal, .scale = 1.0 / std::sqrt(static_cast<double>(width))})) {}

tensor::Matrix TiedEmbedding::forward(const Pass& pass) {
  const Span<const std::int32_t> tokens = pass.batch.tokens;
  const tensor::Matrix x = tensor::allocate_matrix(pass.workspace(), std::ssize(tokens), width_);
  ops::gather_rows(pass.context, tensor::RowSource(tokens.data(), x.rows, tensor::ConstMatrix(table())), x);
  return x;
}

TiedEmbedding::Scores TiedEmbedding::score(const Pass& pass, tensor::ConstMatrix y) {
  device::Workspace& workspace = pass.workspace();
  const Scores scores{workspace.allocate<float>(y.rows), workspace.allocate<std::int32_t>(y.rows)};
  y_ = y;
  logits_ = tensor::allocate_matrix(workspace, y.rows, vocabulary_);
  const float scale = pass.is_training() ? static_cast<float>(pass.batch.row_weight()) : 0.0F;
  pass.context.pool().parallel_for(pass.tiles().local_count(), [&](index_t tile) {
    const IndexRange rows = pass.tiles().rows(tile);
    const tensor::Matrix logits = logits_.rows_from(rows);
    ops::matmul({.m = rows.size(),
                 .n = vocabulary_,
                 .k = width_,
                 .lda = y.stride,
                 .ldb = width_,
                 .ldc = vocabulary_,
                 .transpose_b = ops::Transpose::yes},
                y.row(rows.begin), table().data, logits.data);
    ops::cross_entropy(pass.context, logits, pass.batch.labels.subspan(rows.begin, rows.size()), scale,
                       scores.losses.subspan(rows.begin, rows.size()),
                       scores.predicted.subspan(rows.begin, rows.size()));
  });
  return scores;
}

tensor::Matrix TiedEmbedding::backward_scores(const Pass& pass) const {
  const tensor::Matrix d_y = tensor::allocate_matrix(pass.workspace(), y_.rows, width_);
  const float* const table = trunk_->values(weight_).data();
  pass.context.pool().parallel_for(pass.tiles().local_count(), [&](index_t tile) {
    const IndexRange rows = pass.tiles().rows(tile);
    ops::matmul(
        {.m = rows.size(), .n = width_, .k = vocabulary_, .lda = vocabulary_, .ldb = width_, .ldc = width_},
        logits_.row(rows.begin), table, d_y.row(rows.begin));
  });
  return d_y;
}

void TiedEmbedding::backward(const Pass& pass, tensor::ConstMatrix d_x) {
  device::Workspace& workspace = pass.workspace();
  const IndexRange columns = trunk_->columns(weight_);
  const index_t begins = vocabulary_ + 1;
  const Span<std::int32_t> begin = workspace.allocate<std::int32_t>(pass.tiles().local_count() * begins);
  const Span<std::int32_t> order = workspace.allocate<std::int32_t>(d_x.rows);
  trunk_->gradients().sum_shards(pass.context, columns, [&](index_t shard, float* row) {
    const IndexRange rows = pass.tiles().rows(shard);
    const tensor::Matrix gradient(row + columns.begin, vocabulary_, width_);
    ops::matmul({.m = vocabulary_,
                 .n = width_,
                 .k = rows.size(),
                 .lda = vocabulary_,
                 .ldb = y_.stride,
                 .ldc = width_,
                 .transpose_a = ops::Transpose::yes},
                logits_.row(rows.begin), y_.row(rows.begin), gradient.data);
    const Span<std::int32_t> of_token = begin.subspan(shard * begins, begins);
    const Span<std::int32_t> in_order = order.subspan(rows.begin, rows.size());
    ops::sort_by_token(pass.batch.tokens.subspan(rows.begin, rows.size()), of_token, in_order);
    ops::add_rows_by_token(pass.context, d_x.rows_from(rows), of_token, in_order, gradient);
  });
}

}  // namespace switchyard::nn
