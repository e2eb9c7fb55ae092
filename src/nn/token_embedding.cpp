#include "nn/token_embedding.hpp"

#include <algorithm>
#include <cmath>

#include "device/tile_runs.hpp"
#include "nn/products.hpp"
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

void TokenEmbedding::multiply(device::Context& context, tensor::ConstMatrix y, tensor::Matrix logits) const {
  ops::matmul(context,
              {.m = y.rows,
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
  device::for_each_tile_run(pass.context, pass.tiles().local_count(), [&](IndexRange tiles) {
    const IndexRange rows = pass.tiles().rows(tiles);
    multiply(pass.context, y.rows_from(rows), logits.rows_from(rows));
  });
  return logits;
}

TokenEmbedding::Scores TokenEmbedding::score(const Pass& pass, tensor::ConstMatrix y) {
  device::Workspace& workspace = pass.workspace();
  const Scores scores{workspace.allocate<float>(y.rows), workspace.allocate<std::int32_t>(y.rows)};
  y_ = y;
  logits_ = tensor::allocate_matrix(workspace, y.rows, vocabulary_);
  if (pass.is_training()) d_y_ = tensor::allocate_matrix(workspace, y.rows, width_);
  const bool in_pieces = pass.context.device() == device::DeviceKind::cpu;
  device::for_each_tile_run(pass.context, pass.tiles().local_count(), [&](IndexRange tiles) {
    const IndexRange rows = pass.tiles().rows(tiles);
    const index_t at_once = in_pieces ? rows_at_once : std::max<index_t>(rows.size(), 1);
    for (index_t first = rows.begin; first < rows.end; first += at_once)
      score_rows(pass, {first, std::min(first + at_once, rows.end)}, scores);
  });
  return scores;
}

void TokenEmbedding::score_rows(const Pass& pass, IndexRange rows, const Scores& scores) {
  const tensor::Matrix logits = logits_.rows_from(rows);
  multiply(pass.context, y_.rows_from(rows), logits);
  const float scale = pass.is_training() ? static_cast<float>(pass.batch.row_weight()) : 0.0F;
  ops::cross_entropy(pass.context, logits, pass.batch.labels.subspan(rows.begin, rows.size()), scale,
                     scores.losses.subspan(rows.begin, rows.size()),
                     scores.predicted.subspan(rows.begin, rows.size()));
  if (!pass.is_training()) return;
  ops::matmul(
      pass.context,
      {.m = rows.size(), .n = width_, .k = vocabulary_, .lda = vocabulary_, .ldb = width_, .ldc = width_},
      logits.data, trunk_->values(scores_).data(), d_y_.row(rows.begin));
}

void TokenEmbedding::add_score_gradients(const Pass& pass, IndexRange shards, TilePartials tables) const {
  multiply_tiles<float>(pass, shards, {logits_.data, vocabulary_, vocabulary_, y_.data, y_.stride, width_},
                        tables);
}

void TokenEmbedding::backward(const Pass& pass, tensor::ConstMatrix d_x) {
  device::Workspace& workspace = pass.workspace();
  const index_t begins = vocabulary_ + 1;
  const Span<std::int32_t> begin = workspace.allocate<std::int32_t>(pass.tiles().local_count() * begins);
  const Span<std::int32_t> order = workspace.allocate<std::int32_t>(d_x.rows);
  const bool tied = scores_ == rows_;
  GradientTree& tree = trunk_->gradients();
  if (!tied) {
    const IndexRange columns = trunk_->columns(scores_);
    tree.sum_shards(pass.context, columns, [&](IndexRange shards, TilePartials rows) {
      add_score_gradients(pass, shards, rows.from(columns.begin));
    });
  }
  const IndexRange columns = trunk_->columns(rows_);
  tree.sum_shards(pass.context, columns, [&](IndexRange shards, TilePartials rows) {
    const TilePartials tables = rows.from(columns.begin);
    if (tied) add_score_gradients(pass, shards, tables);
    const ops::TokenOrder in_order{
        pass.batch.tokens, begin.subspan(shards.begin * begins, shards.size() * begins), order, vocabulary_};
    const ops::TileView view = pass.tiles().view(shards);
    ops::sort_by_token(pass.context, view, in_order);
    ops::add_rows_by_token(pass.context, view, in_order, d_x, {tables.first, tables.stride, tied});
  });
}

}  // namespace switchyard::nn
