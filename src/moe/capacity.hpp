// How many rows of a batch an expert takes, and which slots it drops where more were sent to it.
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "comm/communicator.hpp"
#include "moe/options.hpp"
#include "moe/routing.hpp"
#include "nn/pass.hpp"

namespace switchyard::moe {

// C = ceil(moe.capacity * slots / E): an even share of a batch's slots times the factor. 0: as many as come.
index_t places_of_expert(const Options& options, index_t slots);

// Slots are in the order of their number, then of their row in the global batch: the first choices of all rows
// come before any second one (Lepikhin et al. 2021, GShard). DropBy::position keeps an expert's first C,
// DropBy::score the C of the largest weights, and of equal weights the first.
//
// No slot travels for this. What ranks need of each other are counts, so that every rank knows by itself which
// of its own slots are dropped, and those rows are not sent at all.
//
// The host's work, on a GPU too: it fetches the choices and waits for them. Few runs ask for it.
class Capacity {
 public:
  // `options` outlive it.
  explicit Capacity(const Options& options);

  // Fills routing.is_limited, and routing.dropped, if an expert has too many slots. Collective over the ranks
  // of `communicator`, which hold contiguous runs of the batch's rows in their order.
  void limit(const nn::Pass& pass, comm::Communicator& communicator, Routing& routing);

 private:
  // An expert that has more slots than places. By its weights' bits, which rise with the weight: slots whose
  // bits are above `bits` are kept, those below dropped, and of the others the first `left` are kept. Where
  // weights do not count, all bits are 0.
  struct Full {
    std::uint32_t bits = 0;
    index_t left = 0;
  };

  // This rank's, on the host.
  struct Choices {
    Span<const std::int32_t> experts;  // [N, K]
    Span<const float> weights;         // [N, K]; empty where they do not count
    index_t slots;                     // K
  };
  Choices fetch(device::Context& context, const Routing& routing) const;
  void find_full(comm::Communicator& communicator, const Choices& choices, index_t places);
  void find_bits(device::Workspace& workspace, comm::Communicator& communicator, const Choices& choices);
  // [K, full]: how many slots of those bits come before this rank's own.
  Span<std::int64_t> count_before(device::Workspace& workspace, comm::Communicator& communicator,
                                  const Choices& choices) const;
  // [N, K], as Routing::dropped.
  Span<std::uint8_t> drop(device::Workspace& workspace, Span<std::int64_t> before,
                          const Choices& choices) const;

  static std::uint32_t bits_of(const Choices& choices, index_t slot);
  // use(slot, which of full_) of this rank's slots whose expert is full, in the order of rows.
  void for_each_of_full(const Choices& choices, const auto& use) const;

  const Options* options_;
  Vector<std::int64_t> loads_;    // [E], over all ranks
  Vector<std::int32_t> full_of_;  // [E], which of full_ an expert is, or -1
  Vector<Full> full_;
};

}  // namespace switchyard::moe
