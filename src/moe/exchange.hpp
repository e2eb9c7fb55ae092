// Moves rows between ranks as a dispatch plan says, there and back.
#pragma once

#include <array>
#include <vector>

#include "base/span.hpp"
#include "comm/resources.hpp"
#include "device/context.hpp"
#include "moe/dispatch_plan.hpp"

namespace switchyard::moe {

// What an expert returns of a row; both travel side by side in one message row.
struct Returned {
  enum : std::size_t {
    output,
    hidden,  // the hidden vector, where the gate asks for it
    count,
  };
};
// Of one row; 0: that part is not returned. The same on every rank, also on one that hosts no expert.
using PartWidths = std::array<index_t, Returned::count>;
// [rows of all local experts (padded), width], expert after expert. No data for a part that is not returned.
using ExpertParts = std::array<tensor::Matrix, Returned::count>;
// By slot of this rank's samples, [N * K, width]: of one part. No columns for a part that is not returned.
template <class T>
using SlotParts = std::array<tensor::IndexedRows<T>, Returned::count>;

// One layer's exchange in one step. Each function is collective over the plan's ranks, on the data plane;
// results live in the step's workspace. Rows of the own rank are never packed: an index says where they lie.
class Exchange {
 public:
  Exchange(const comm::Resources& resources, const PartWidths& widths)
      : data_plane_(&resources.data_plane), widths_(widths), ready_(resources.context.make_event()) {}

  // Sends each sample's row to the ranks of its experts. `samples` are those of the plan. Afterwards input()
  // names the rows of the local experts, expert after expert and each in global order, padded with rows of
  // zeros to the plan's multiple: a library product for a new row count costs far more to build than the
  // padding costs to compute.
  void dispatch(device::Context& context, const DispatchPlan& plan, tensor::RowSource samples);
  const tensor::RowSource& input() const { return input_; }

  // Returns, for each of this rank's slots, where what its expert returned lies: zeros, if it was dropped.
  SlotParts<const float> combine(device::Context& context, const DispatchPlan& plan,
                                 const ExpertParts& experts);

  // The mirror of combine. First the places where the gradient row of each slot is to be written; when they
  // are, begin_combine_backward; then the transport: afterwards d_experts holds the gradient of every row of
  // every local expert, and zeros in the padding. What is computed between the last two goes on while rows
  // travel between GPUs.
  SlotParts<float> gradient_rows(device::Context& context, const DispatchPlan& plan,
                                 const ExpertParts& d_experts);
  void begin_combine_backward(device::Context& context, const DispatchPlan& plan);
  void combine_backward(device::Context& context, const DispatchPlan& plan, const ExpertParts& d_experts);

  // The mirror of dispatch: the gradients of input(), in its order, go back to where the rows came from, in two
  // parts as above. Returns, for each of this rank's slots, where the gradient by its expert lies: one row per
  // slot, since a sum at the owner would follow the placement, and its bits with it.
  void begin_dispatch_backward(device::Context& context, const DispatchPlan& plan, tensor::ConstMatrix d_input);
  tensor::RowSource dispatch_backward(device::Context& context, const DispatchPlan& plan,
                                      tensor::ConstMatrix d_input);

 private:
  index_t message_cols() const { return widths_[Returned::output] + widths_[Returned::hidden]; }
  // body(part, width, first column in a message) for every part that is returned.
  void for_each_part(const auto& body) const;

  void begin(device::Context& context, tensor::ConstMatrix leaving, tensor::Matrix arriving);

  // Uninitialised for the slots that travel, and behind them zeros for those that no expert takes.
  static tensor::Matrix rows_of_slots(device::Context& context, const DispatchPlan& plan, index_t cols);
  template <class T>
  SlotParts<T> slots(const DispatchPlan& plan, tensor::MatrixView<T> message, const ExpertParts& experts) const;

  comm::DataPlane* data_plane_;
  PartWidths widths_;
  tensor::RowSource input_;
  Vector<index_t> zeros_;
  tensor::Matrix d_message_;  // gradient rows on their way to the experts: [outbound slots and dropped ones,
                              // message_cols()]
  // Of an exchange that has begun: what is sent, and where what comes goes; and the point behind which both are
  // there.
  tensor::ConstMatrix leaving_;
  tensor::Matrix arriving_;
  device::Event ready_;
};

}  // namespace switchyard::moe
