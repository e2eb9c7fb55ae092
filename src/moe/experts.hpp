// The experts that live on this rank.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "base/span.hpp"
#include "moe/exchange.hpp"
#include "nn/network_gradient.hpp"

namespace switchyard::moe {

// What follows an expert's network.
enum class ExpertHead {
  none,
  log_softmax,  // a row of log-probabilities: the experts' outputs are distributions (reference V1)
};

// The owner computes an expert's whole gradient over its rows in global order, so no sum crosses ranks.
// (expert, tile) pairs are spread over the pool. Batch norm in an expert uses the statistics of the samples
// that the batch sent to it, all of which its owner has.
class Experts {
 public:
  // Row counts are padded to a multiple of this, and cut into tiles of `tile_rows`.
  static constexpr index_t row_multiple = 64;
  static constexpr index_t tile_rows = 128;

  // Networks named "experts/0003", by global id, so that initial weights do not depend on the placement.
  Experts(const nn::NetworkShape& shape, ExpertHead head, const nn::NetworkOptions& options,
          Span<const ExpertId> hosted, std::uint64_t seed);

  index_t count() const { return std::ssize(experts_); }
  ExpertId id(index_t local) const { return experts_[local]->id; }
  nn::Network& network(index_t local) { return experts_[local]->network; }
  nn::NetworkGradient& gradient(index_t local) { return experts_[local]->gradient; }
  // On every rank, also on one that hosts none.
  bool frozen() const { return frozen_; }
  static std::string name(ExpertId id);

  // Reads exchange.expert_input(e); afterwards returned() holds the head's rows, and the hidden vectors if the
  // networks show them.
  void forward(const nn::Pass& pass, const Exchange& exchange);
  ExpertParts returned() const { return {returned_[Returned::output], returned_[Returned::hidden]}; }
  // Allocates d_returned(), which the caller fills before backward.
  void begin_backward(const nn::Pass& pass);
  ExpertParts d_returned() const { return {d_returned_[Returned::output], d_returned_[Returned::hidden]}; }
  void backward(const nn::Pass& pass);
  // Parameter gradients, from what backward left.
  void reduce_gradients(const nn::Pass& pass);

 private:
  struct Expert {
    Expert(ExpertId id_in, const nn::NetworkShape& shape, const nn::NetworkOptions& options,
           std::uint64_t seed);
    ExpertId id;
    nn::Network network;
    nn::NetworkGradient gradient;
    nn::BatchTiles tiles;
    nn::Batch batch;  // of `tiles`
    nn::NetworkRecord record;
    Span<float> partials;
  };
  struct Task {
    std::int32_t expert;
    std::int32_t part;  // tile, or block of a gradient
  };
  // All experts have one shape, so their networks the same stages (nn/network.hpp).
  index_t stage_count() const { return experts_.empty() ? 0 : experts_.front()->network.stage_count(); }
  void run_tiles(const nn::Pass& pass, const auto& body);

  ExpertHead head_;
  bool shows_hidden_;
  bool frozen_;
  Vector<std::unique_ptr<Expert>> experts_;
  std::array<std::vector<tensor::Matrix>, Returned::count> returned_, d_returned_;
  Vector<Task> tasks_;
};

}  // namespace switchyard::moe
