#include "nn/token_embedding.hpp"

#include <algorithm>
#include <cmath>

#include "device/thread_pool.hpp"
#include "ops/matmul.hpp"
#include "ops/rows.hpp"
#include "ops/tokens.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {

namespace {

// Their logits are in the second-level cache for vocabularies up to 4,096.
constexpr index_t rows_at_once = 64;

index_t add_table(Trunk& trunk, const char* name, Role role, const TokenEmbeddingOptions& options) {
  const double deviation = 1.0 / std::sqrt(static_cast<double>(options.width));
  return trunk.add(name, role, {options.vocabulary, options.width}, BankArray::First::drawn,
                   {.distribution = InitialValues::normal, .scale = deviation});
}

}  // namespace

// A row meets the whole table that it is scored by, and a row of its own. Its floats: the row and the gradient
// of what is scored, logits, loss, prediction, and its place in the order of tokens.
Cost TokenEmbeddingOptions::cost() const {
  const index_t table = vocabulary * width, all = tied ? table : 2 * table;
  return {.parameters = all,
          .active_parameters = tied ? table : table + width,
          .multiply_adds = table,
          .training_multiply_adds = 3 * table,
          .row_floats = static_cast<double>(2 * width + vocabulary + 3),
          .partial_floats = static_cast<double>(all),
          .shard_floats = static_cast<double>(vocabulary + 1)};
}

TokenEmbedding::TokenEmbedding(Trunk& trunk, const TokenEmbeddingOptions& options)
    : trunk_(&trunk),
      vocabulary_(options.vocabulary),
      width_(options.width),
      rows_(add_table(trunk, "embedding/weight", Role::embedding, options)),
      scores_(options.tied ? rows_ : add_table(trunk, "scores/weight", Role::weight, options)) {}

tensor::Matrix TokenEmbedding::forward(const Pass& pass) {
  const Span<const std::int32_t> tokens = pass.batch.tokens;
  const tensor::Matrix x = tensor::allocate_matrix(pass.workspace(), std::ssize(tokens), width_);
  const tensor::ConstMatrix table(trunk_->values(rows_).data(), vocabulary_, width_);
  ops::gather_rows(pass.context, tensor::RowSource(tokens.data(), x.rows, table), x);
  return x;
}

void TokenEmbedding::multiply(tensor::ConstMatrix y, tensor::Matrix logits) const {
  ops::matmul({.m = y.rows,
               .n = vocabulary_,
               .k = width_,
               .lda = y.stride,
               .ldb = width_,
               .ldc = vocabulary_,
               .transpose_b = ops::Transpose::yes},
              y.data, trunk_->values(scores_).data(), logits.data);
}

tensor::Matrix TokenEmbedding::logits(const Pass& pass, tensor::ConstMatrix y) const {
  const tensor::Matrix logits = tensor::allocate_matrix(pass.workspace(), y.rows, vocabulary_);
  pass.context.pool().parallel_for(pass.tiles().local_count(), [&](index_t tile) {
    const IndexRange rows = pass.tiles().rows(tile);
    multiply(y.rows_from(rows), logits.rows_from(rows));
  });
  return logits;
}

TokenEmbedding::Scores TokenEmbedding::score(const Pass& pass, tensor::ConstMatrix y) {
  device::Workspace& workspace = pass.workspace();
  const Scores scores{workspace.allocate<float>(y.rows), workspace.allocate<std::int32_t>(y.rows)};
  y_ = y;
  logits_ = tensor::allocate_matrix(workspace, y.rows, vocabulary_);
  if (pass.is_training()) d_y_ = tensor::allocate_matrix(workspace, y.rows, width_);
  pass.context.pool().parallel_for(pass.tiles().local_count(), [&](index_t tile) {
    const IndexRange rows = pass.tiles().rows(tile);
    for (index_t first = rows.begin; first < rows.end; first += rows_at_once)
      score_rows(pass, {first, std::min(first + rows_at_once, rows.end)}, scores);
  });
  return scores;
}

void TokenEmbedding::score_rows(const Pass& pass, IndexRange rows, const Scores& scores) {
  const tensor::Matrix logits = logits_.rows_from(rows);
  multiply(y_.rows_from(rows), logits);
  const float scale = pass.is_training() ? static_cast<float>(pass.batch.row_weight()) : 0.0F;
  ops::cross_entropy(pass.context, logits, pass.batch.labels.subspan(rows.begin, rows.size()), scale,
                     scores.losses.subspan(rows.begin, rows.size()),
                     scores.predicted.subspan(rows.begin, rows.size()));
  if (!pass.is_training()) return;
  ops::matmul(
      {.m = rows.size(), .n = width_, .k = vocabulary_, .lda = vocabulary_, .ldb = width_, .ldc = width_},
      logits.data, trunk_->values(scores_).data(), d_y_.row(rows.begin));
}

void TokenEmbedding::for_each_shard(const Pass& pass, index_t table, const auto& add) {
  const IndexRange columns = trunk_->columns(table);
  trunk_->gradients().sum_shards(pass.context, columns, [&](index_t shard, float* row) {
    add(shard, pass.tiles().rows(shard), tensor::Matrix(row + columns.begin, vocabulary_, width_));
  });
}

void TokenEmbedding::add_score_gradient(IndexRange rows, tensor::Matrix gradient) const {
  ops::matmul({.m = vocabulary_,
               .n = width_,
               .k = rows.size(),
               .lda = vocabulary_,
               .ldb = y_.stride,
               .ldc = width_,
               .transpose_a = ops::Transpose::yes},
              logits_.row(rows.begin), y_.row(rows.begin), gradient.data);
}

void TokenEmbedding::backward(const Pass& pass, tensor::ConstMatrix d_x) {
  device::Workspace& workspace = pass.workspace();
  const index_t begins = vocabulary_ + 1;
  const Span<std::int32_t> begin = workspace.allocate<std::int32_t>(pass.tiles().local_count() * begins);
  const Span<std::int32_t> order = workspace.allocate<std::int32_t>(d_x.rows);
  const bool tied = scores_ == rows_;
  if (!tied) {
    for_each_shard(pass, scores_, [&](index_t, IndexRange rows, tensor::Matrix gradient) {
      add_score_gradient(rows, gradient);
    });
  }
  for_each_shard(pass, rows_, [&](index_t shard, IndexRange rows, tensor::Matrix gradient) {
    if (tied)
      add_score_gradient(rows, gradient);
    else
      std::fill_n(gradient.data, vocabulary_ * width_, 0.0F);
    const Span<std::int32_t> of_token = begin.subspan(shard * begins, begins);
    const Span<std::int32_t> in_order = order.subspan(rows.begin, rows.size());
    ops::sort_by_token(pass.batch.tokens.subspan(rows.begin, rows.size()), of_token, in_order);
    ops::add_rows_by_token(pass.context, d_x.rows_from(rows), of_token, in_order, gradient);
  });
}

}  // namespace switchyard::nn
