// The experts that live on this rank.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/span.hpp"
#include "moe/exchange.hpp"
#include "nn/bank_gradient.hpp"
#include "nn/block_gradient.hpp"

namespace switchyard::moe {

// One bank with a set of weights for each hosted expert. Tiles of all experts are spread over the pool. Batch
// norm in an expert uses the statistics of the samples that the batch sent to it, all of which its owner has
// where there are no replicas. The gradient of an expert is one product over its rows, or the sum of those of
// blocks.
class Experts {
 public:
  // Row counts are padded to a multiple of this, and cut into tiles of `tile_rows`.
  static constexpr index_t row_multiple = 64;
  static constexpr index_t tile_rows = 128;

  // Of the gradients, in tiles of `tile_rows`; and who else hosts the same experts: null for nobody.
  struct Sharing {
    nn::RowBlocks blocks;
    comm::DataPlane* replicas;
  };
  // Sets are named "SCOPEexperts/0003", by global id, so that initial weights do not depend on the placement.
  Experts(const std::string& scope, const nn::NetworkShape& shape, const nn::NetworkOptions& options,
          Span<const ExpertId> hosted, std::uint64_t seed, const Sharing& sharing);

  index_t count() const { return std::ssize(hosted_); }
  ExpertId id(index_t local) const { return hosted_[local]; }
  nn::Network& network() { return network_; }
  const nn::Network& network() const { return network_; }
  // On every rank, also on one that hosts none.
  bool frozen() const { return network_.frozen(); }

  // Of the plan's rows, which are `input` (Exchange::input()); afterwards returned() holds the output rows, and
  // the hidden vectors if the network shows them.
  void forward(const nn::Pass& pass, const DispatchPlan& plan, const tensor::RowSource& input);
  ExpertParts returned() const;
  // Allocates d_returned(), which the caller fills before backward.
  void begin_backward(const nn::Pass& pass);
  ExpertParts d_returned() const { return {record_.d_output(), record_.d_hidden}; }
  void backward(const nn::Pass& pass);
  // Of the rows that forward read, after backward; no data if they are data.
  tensor::Matrix input_gradient() const { return record_.d_input; }
  // Parameter gradients, from what backward left: of the rows here. `all_rows`: of each expert, on all ranks.
  void compute_gradients(const nn::Pass& pass, Span<const index_t> all_rows);
  // Then, over all rows; and after the update, what other ranks changed. Collective over the replicas.
  void reduce_gradients(const nn::Pass& pass) {
    if (of_blocks_) of_blocks_->reduce(pass.with(batch_));
  }
  void gather_updated_values(device::Context& context) {
    if (of_blocks_ && !frozen()) of_blocks_->gather_updated_values(context);
  }
  // What this rank updates, with the expert's number here as their unit; norm_entry counts from its first.
  std::vector<nn::ParameterSlice> slices();
  // Of one expert, whoever hosts it.
  void add_norms(nn::NormTable& table) const;

 private:
  Vector<ExpertId> hosted_;
  nn::Network network_;
  std::optional<nn::BankGradient> whole_;  // one of the two
  std::optional<nn::BlockGradient> of_blocks_;
  nn::BatchTiles tiles_;
  nn::Batch batch_;  // of `tiles_`
  nn::NetworkRecord record_;
  Span<float> partials_;
};

}  // namespace switchyard::moe
