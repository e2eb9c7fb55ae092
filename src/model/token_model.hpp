// A model of tokens: an embedding, residual branches, and scores of the token that follows.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/outline.hpp"
#include "model/residual.hpp"
#include "nn/shard_sums.hpp"
#include "nn/token_embedding.hpp"
#include "nn/trace.hpp"

namespace switchyard::model {

// x = E[token]; for each branch x += body(norm(x)); the logits are norm(x) S^T, where S is E unless it is a
// table of its own. A row is a token. L = the mean
// cross-entropy over the tokens of the global batch, in nats, and the regularisers of every mixture layer. What
// the branches are is the family's (model/outline.cpp). Scores that must be finite are the routers'.
class TokenModel final : public Model {
 public:
  TokenModel(const ModelOptions& options, const Task& task, comm::Resources resources);

  moe::Statistics statistics() const override;
  index_t sum_count() const override { return first_loss_ + std::ssize(moe::regulariser_kinds()); }
  index_t count_count() const override { return count_count_; }
  void forward(const nn::Pass& pass, moe::BatchFigures figures) override;
  void read(Span<const double> sums, Span<const std::int64_t> counts, moe::Statistics& statistics,
            Vector<double>& regularisers) const override;
  void expect_finite(const moe::Statistics& statistics, Span<const double> sums) const override;
  // The scores of the tokens that may follow each row, [N, V], without a loss: what an evaluation computes. In
  // the step's memory. Its rows need no labels; with pass.past they go on a sequence.
  tensor::Matrix logits(const nn::Pass& pass);
  void backward(const nn::Pass& pass) override;
  void reduce_gradients(const nn::Pass& pass) override;
  void gather_updated_values() override;
  void after_update(device::Context& context, Span<const std::int64_t> counts) override;
  void values_changed() override;

  std::vector<nn::ParameterSlice> slices() override;
  const nn::NormTable& norm_table() const override { return norm_table_; }
  std::vector<nn::NamedArray> parameters() override;
  std::vector<nn::NamedArray> state() override;

  Score score(const moe::Statistics& statistics) const override {
    return {"loss", statistics.likelihood_loss()};
  }
  Score worst_score() const override;

  const nn::Cost& cost() const override { return cost_; }

 private:
  TokenModel(const ModelOptions& options, const Task& task, comm::Resources resources, const Outline& outline);
  // One of the bodies.
  struct Mixture {
    std::string name;  // "blocks/00/mixture"
    const nn::Module* body;
    moe::MixtureModule* module;
    index_t rows_per_token;
    moe::CountPlaces counted;  // in the layer's own counts
    index_t first_count = 0;   // of those in a batch's
    index_t first_sum = 0;
  };
  std::unique_ptr<nn::Module> make_body(const ModelOptions& options, const Branch& branch);
  void add_branch(const ModelOptions& options, const Branch& branch);
  // In the order of a batch's sums: those of the losses, then each layer's, then the regularisers' losses.
  struct Columns {
    enum : index_t { task_loss, likelihood_loss, of_layers };
  };
  void place_figures();
  // Of a mixture, while its rows are there.
  void measure(const nn::Pass& pass, const Mixture& mixture, const nn::ShardSums& shards,
               Span<std::int64_t> counts);
  void complete(const nn::Pass& pass, const nn::ShardSums& shards, Span<double> sums);
  nn::Pass own(const nn::Pass& pass) {
    return {pass.context, pass.batch, pass.mode, pass.clock, &trace_, pass.past};
  }

  comm::Resources resources_;
  Task task_;
  index_t width_;
  nn::Cost cost_;
  nn::Trunk trunk_;
  nn::TokenEmbedding embedding_;
  ops::Dropout dropout_;  // of the embedding
  std::vector<std::unique_ptr<Residual>> branches_;
  std::vector<Mixture> mixtures_;
  nn::RmsNorm norm_;
  nn::NormTable norm_table_;
  nn::Trace trace_;
  index_t first_loss_ = 0;   // of regularisers, in a batch's sums
  index_t count_count_ = 0;  // of a batch
};

// As make_model(), for a family that reads tokens.
std::unique_ptr<TokenModel> make_token_model(const ModelOptions& options, const Task& task,
                                             comm::Resources resources);

}  // namespace switchyard::model
