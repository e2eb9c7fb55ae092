// The experts that live on this rank.
#pragma once

#include <string>
#include <vector>

#include "base/span.hpp"
#include "moe/exchange.hpp"
#include "nn/bank_gradient.hpp"

namespace switchyard::moe {

// One bank with a set of weights for each hosted expert. Tiles of all experts are spread over the pool. Batch
// norm in an expert uses the statistics of the samples that the batch sent to it, all of which its owner has.
class Experts {
 public:
  // Row counts are padded to a multiple of this, and cut into tiles of `tile_rows`.
  static constexpr index_t row_multiple = 64;
  static constexpr index_t tile_rows = 128;

  // Sets are named "SCOPEexperts/0003", by global id, so that initial weights do not depend on the placement.
  Experts(const std::string& scope, const nn::NetworkShape& shape, const nn::NetworkOptions& options,
          Span<const ExpertId> hosted, std::uint64_t seed);

  index_t count() const { return std::ssize(hosted_); }
  ExpertId id(index_t local) const { return hosted_[local]; }
  nn::Network& network() { return network_; }
  const nn::Network& network() const { return network_; }
  nn::BankGradient& gradient() { return gradient_; }
  // On every rank, also on one that hosts none.
  bool frozen() const { return network_.frozen(); }

  // Reads exchange.input(); afterwards returned() holds the output rows, and the hidden vectors if the network
  // shows them.
  void forward(const nn::Pass& pass, const Exchange& exchange);
  ExpertParts returned() const;
  // Allocates d_returned(), which the caller fills before backward.
  void begin_backward(const nn::Pass& pass);
  ExpertParts d_returned() const { return {record_.d_output(), record_.d_hidden}; }
  void backward(const nn::Pass& pass);
  // Of the rows of exchange.input(), after backward; no data if they are data.
  tensor::Matrix input_gradient() const { return record_.d_input; }
  // Parameter gradients, from what backward left.
  void reduce_gradients(const nn::Pass& pass) { gradient_.compute(pass.with(batch_), partials_, record_); }

 private:
  Vector<ExpertId> hosted_;
  nn::Network network_;
  nn::BankGradient gradient_;
  nn::BatchTiles tiles_;
  nn::Batch batch_;  // of `tiles_`
  nn::NetworkRecord record_;
  Span<float> partials_;
};

}  // namespace switchyard::moe
