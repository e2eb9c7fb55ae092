// The data plane of ranks that compute on processors.
#pragma once

#include "comm/communicator.hpp"
#include "comm/data_plane.hpp"

namespace switchyard::comm {

// A context's memory is the host's: each call is one of the communicator's, which checks it, tags it and shows
// it to the watchdog, and has ended when it returns.
class HostDataPlane final : public DataPlane {
 public:
  // Over the ranks of `communicator`, which must outlive it. Local.
  explicit HostDataPlane(Communicator& communicator) : communicator_(communicator) {}

  GroupRank rank() const override { return communicator_.rank(); }
  int size() const override { return communicator_.size(); }

 private:
  void do_all_to_all_rows(device::Context& context, const std::byte* send, RowLayout send_layout,
                          std::byte* recv, RowLayout recv_layout, index_t row_bytes,
                          const device::Event* ready) override;
  void do_all_gather_rows(device::Context& context, Span<const std::byte> mine, Span<std::byte> all,
                          Span<const index_t> rows, index_t row_bytes) override;
  void do_all_reduce_sum(device::Context& context, Span<std::int64_t> values) override;

  Communicator& communicator_;
};

}  // namespace switchyard::comm
