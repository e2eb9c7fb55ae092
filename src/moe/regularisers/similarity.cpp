#include "moe/regularisers/similarity.hpp"

#include <algorithm>

#include "base/contract.hpp"
#include "device/copy.hpp"
#include "device/tile_runs.hpp"
#include "moe/regulariser.hpp"
#include "ops/moe/pairwise.hpp"
#include "ops/product.hpp"
#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::moe {
namespace {

// The rows of all ranks, side by side.
tensor::ConstMatrix gather(device::Context& context, const nn::BatchTiles& tiles, tensor::ConstMatrix mine) {
  const nn::ProductRows all =
      tiles.gather_rows(context, {.f32 = mine.data, .rows = mine.rows, .cols = mine.cols});
  return {all.f32, all.rows, all.cols};
}

tensor::ConstMatrix side_by_side(device::Context& context, tensor::RowSource rows) {
  if (rows.in_order() && rows.stride[0] == rows.cols) return rows.matrix();
  const tensor::Matrix copy = tensor::allocate_matrix(context.workspace(), rows.rows, rows.cols);
  ops::gather_rows(context, rows, copy);
  return copy;
}

// The batch and this rank's place in it.
struct Pairs {
  ops::PairwiseRows all;              // [B, D]
  tensor::ConstMatrix probabilities;  // [B, E]
  index_t first_row;                  // of this rank's samples
  index_t column_block;

  void add(device::Context& context, IndexRange block, Span<float> memory, const SimilarityTerms& terms) const;
};

// One block of this rank's rows against all rows, a block of columns at a time.
void Pairs::add(device::Context& context, IndexRange block, Span<float> memory,
                const SimilarityTerms& terms) const {
  const auto part = [&](index_t first, index_t count) {
    return ops::PairwiseRows{all.values.rows_from(first, count), all.squared_norms.subspan(first, count)};
  };
  const ops::PairwiseRows rows = part(first_row + block.begin, block.size());
  const auto sums = [&](Span<double> of_all) { return of_all.subspan(block.begin, block.size()); };
  const index_t experts = probabilities.cols;
  for (index_t first = 0; first < all.values.rows; first += column_block) {
    const index_t count = std::min(column_block, all.values.rows - first);
    const tensor::Matrix distances(memory.data(), block.size(), count);
    ops::pairwise_distances(context, rows, part(first, count), first_row + block.begin - first,
                            {distances, sums(terms.distances)});
    ops::matmul(context,
                {.m = block.size(),
                 .n = experts,
                 .k = count,
                 .lda = count,
                 .ldb = experts,
                 .ldc = experts,
                 .accumulate = first > 0},
                distances.data, probabilities.row(first), terms.weighted_distances.row(block.begin));
  }
  ops::products_of_rows(context, probabilities.rows_from(first_row + block.begin, block.size()),
                        terms.weighted_distances.rows_from(block), sums(terms.same_expert));
}

// Of training batches; 0 in evaluation.
class Similarity final : public Regulariser {
 public:
  explicit Similarity(const Options& options)
      : weights_(similarity_weights(options)), layer_(options.similarity_layer), experts_(options.experts) {}

  // Collective.
  void measure(RoutedSamples& samples) override {
    terms_ = {};
    const nn::Pass& pass = samples.pass;
    if (!pass.is_training()) return;
    const tensor::RowSource features =
        layer_ == 0 ? pass.batch.rows : tensor::RowSource(samples.router.network()->output_of(layer_));
    terms_ = pairs_.measure(pass.context, pass.tiles(), features, samples.routing.scores);
  }

  index_t width() const override { return 2; }

  void add_shards(device::Context& /*context*/, const ops::TileSums& sums,
                  ops::RowFigures& figures) const override {
    figures.add(terms_.distances, sums, 0);
    figures.add(terms_.same_expert, sums, 1);
  }

  void complete(device::Context& context, const BatchSums& of) override {
    slope_ = context.workspace().allocate<double>(1);
    ops::similarity(context, of.own, {of.samples, experts_}, weights_, {of.loss, slope_, of.share});
  }

  void add_gradient(RegulariserGradients& gradients) const override {
    gradients.sample_probability = terms_.weighted_distances;
    gradients.sample_scale = slope_.data();
  }

 private:
  ops::SimilarityWeights weights_;
  index_t layer_;
  index_t experts_;
  SimilarityPairs pairs_;
  SimilarityTerms terms_;
  Span<double> slope_;  // memory of the step
};

}  // namespace

ops::SimilarityWeights similarity_weights(const Options& options) {
  return {options.similarity, options.similarity_same, options.similarity_different};
}

void SimilarityPairs::cut(const nn::BatchTiles& tiles, bool on_gpu) {
  blocks_.clear();
  most_rows_ = 0;
  const index_t most = on_gpu ? gpu_block : row_block;
  const auto add = [&](IndexRange rows) {
    for (index_t first = rows.begin; first < rows.end; first += most) {
      blocks_.push_back({first, std::min(first + most, rows.end)});
      most_rows_ = std::max(most_rows_, blocks_.back().size());
    }
  };
  if (on_gpu) return add({0, tiles.local_rows()});
  for (index_t tile = 0; tile < tiles.local_count(); ++tile) add(tiles.rows(tile));
}

SimilarityTerms SimilarityPairs::measure(device::Context& context, const nn::BatchTiles& tiles,
                                         tensor::RowSource features, tensor::ConstMatrix scores) {
  device::Workspace& workspace = context.workspace();
  const index_t rows = tiles.local_rows();
  SY_EXPECTS(features.rows == rows && scores.rows == rows,
             "{} rows of features and {} of scores for {} samples", features.rows, scores.rows, rows);
  const tensor::Matrix mine = tensor::allocate_matrix(workspace, rows, scores.cols);
  ops::softmax(context, scores, mine);
  const tensor::ConstMatrix all = gather(context, tiles, side_by_side(context, features));
  const Span<float> norms = workspace.allocate<float>(all.rows);
  ops::squared_norms(context, all, norms);
  const bool on_gpu = context.device() == device::DeviceKind::cuda;
  const Pairs pairs{
      {all, norms}, gather(context, tiles, mine), tiles.first_row(), on_gpu ? gpu_block : column_block};

  const SimilarityTerms terms{tensor::allocate_matrix(workspace, rows, scores.cols),
                              workspace.allocate<double>(rows), workspace.allocate<double>(rows)};
  device::zero_on_device<double>(context, terms.distances);
  cut(tiles, on_gpu);
  // A run of blocks shares the memory of one.
  const auto blocks = std::ssize(blocks_);
  const index_t runs = std::min(blocks, device::tasks_at_once(context));
  const index_t block_size = most_rows_ * std::min(pairs.column_block, all.rows);
  const Span<float> memory = workspace.allocate<float>(runs * block_size);
  device::for_each_task(context, runs, [&](index_t run) {
    const IndexRange mine_of_run = partition(blocks, runs, run);
    for (index_t b = mine_of_run.begin; b < mine_of_run.end; ++b) {
      pairs.add(context, blocks_[b], memory.subspan(run * block_size, block_size), terms);
    }
  });
  return terms;
}

Made make_regulariser(Of<&RegulariserWeights::similarity>, const Options& options) {
  return similarity_weights(options).any() ? std::make_unique<Similarity>(options) : nullptr;
}

}  // namespace switchyard::moe
