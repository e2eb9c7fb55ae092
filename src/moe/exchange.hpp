// Moves rows between ranks as a dispatch plan says, there and back.
#pragma once

#include <span>
#include <vector>

#include "comm/communicator.hpp"
#include "device/context.hpp"
#include "moe/dispatch_plan.hpp"

namespace switchyard::moe {

// One layer's exchange in one step. Each function is collective over the plan's ranks and blocking; results
// live in the step's workspace. Rows of the own rank are never packed: tables point to where they lie.
class Exchange {
 public:
  // output_cols: width of an expert's output row, the same on every rank, also on one that hosts no expert.
  Exchange(comm::Communicator& communicator, index_t output_cols)
      : communicator_(&communicator), output_cols_(output_cols) {}

  // Sends each sample's row to the ranks of its experts. Afterwards expert_input(e) names the rows of local
  // expert e in global order, padded with rows of zeros to a multiple of `row_multiple`: a library product for
  // a new row count costs far more to build than the padding costs to compute.
  void dispatch(device::Context& context, const DispatchPlan& plan, tensor::RowSource samples,
                index_t row_multiple);
  tensor::RowSource expert_input(LocalExpert expert) const {
    return inputs_[static_cast<std::size_t>(expert.value)];
  }
  // Rows of expert_input(expert) that are samples; the others are padding.
  index_t expert_samples(LocalExpert expert) const { return samples_[static_cast<std::size_t>(expert.value)]; }

  // outputs[e]: [rows of e (padded), cols]. Returns, for each of this rank's slots [N * K], where its expert's
  // output row lies.
  std::span<const float* const> combine(device::Context& context, const DispatchPlan& plan,
                                        std::span<const tensor::Matrix> outputs, index_t samples);

  // The mirror of combine. First the places where the gradient row of each slot is to be written, then the
  // transport: afterwards d_outputs[e] holds the gradient of every row of expert e, and zeros in the padding.
  std::span<float* const> gradient_rows(device::Context& context, const DispatchPlan& plan,
                                        std::span<const tensor::Matrix> d_outputs, index_t samples);
  void combine_backward(device::Context& context, const DispatchPlan& plan,
                        std::span<const tensor::Matrix> d_outputs);

 private:
  comm::Communicator* communicator_;
  index_t output_cols_;
  std::vector<tensor::RowSource> inputs_;
  std::vector<index_t> samples_;
  std::vector<index_t> zeros_;
  tensor::Matrix d_message_;  // gradient rows on their way to the experts: [home slots, cols]
};

}  // namespace switchyard::moe
