#include "train/prediction.hpp"

#include <algorithm>
#include <utility>

#include "base/error.hpp"
#include "comm/agreement.hpp"
#include "device/transfer.hpp"
#include "train/evaluation.hpp"

namespace switchyard::train {
namespace {

// The rows of all ranks, which are the host's, behind `all` on the root. Waits.
template <class T>
void gather(comm::Resources resources, Span<const T> mine, index_t row_elements, Vector<T>& all) {
  const index_t count = std::ssize(mine) / row_elements;
  const std::vector<index_t> rows = resources.communicator.all_gather<index_t>(count);
  index_t sum = 0;
  for (const index_t of_rank : rows) sum += of_rank;
  device::Context& context = resources.context;
  const Span<T> own = context.host_workspace().allocate<T>(std::ssize(mine));
  std::ranges::copy(mine, own.begin());
  const Span<T> joined = context.workspace().allocate<T>(sum * row_elements);
  resources.data_plane.all_gather_rows<T>(context, device::place(context, own), joined, rows, row_elements);
  const Span<T> on_host = device::fetch(context, joined);
  context.wait();
  if (resources.communicator.is_root()) all.insert(all.end(), on_host.begin(), on_host.end());
}

// [N, cols] without gaps between rows.
Vector<float> joined_rows(tensor::ConstMatrix matrix) {
  Vector<float> rows(matrix.rows * matrix.cols);
  for (index_t n = 0; n < matrix.rows; ++n)
    std::copy_n(matrix.row(n), matrix.cols, rows.data() + n * matrix.cols);
  return rows;
}

}  // namespace

SplitPredictions predict(data::Split split, BatchLoader& loader, model::Model& model, comm::Resources resources,
                         bool with_expert_outputs) {
  // Not by structured bindings, which clang does not let a lambda refer to.
  comm::Communicator& communicator = resources.communicator;
  device::Context& context = resources.context;
  SplitPredictions all;
  Figures figures(model, context.memory());
  PhaseClock clock;
  const index_t batches = loader.evaluation_batches(split);
  for (index_t b = 0; b < batches; ++b) {
    communicator.set_phase(b, name(split));
    context.reset_workspaces();
    const nn::Batch batch = loader.evaluation_batch(split, b);
    comm::agree(communicator, [&] { loader.expect_loaded(); });
    const nn::Pass pass{context, batch, nn::Mode::evaluation, clock};
    model.forward(pass, figures.all());
    (void)figures.read(model, context);  // throws where there is nothing to predict
    const std::optional<model::Predictions> some = model.predictions(pass);
    if (!some)
      throw_agreed(
          ErrorKind::config,
          "a model of tokens has no predictions of samples; try `switchyard sample`, or `switchyard eval`");
    const bool of_numbers = some->values.cols > 0;
    const index_t outputs = of_numbers ? some->values.cols : some->probabilities.cols;
    all.slots = some->slots;
    if (of_numbers) {
      gather<float>(resources, joined_rows(some->values), outputs, all.values);
    } else {
      gather<std::int32_t>(resources, some->predicted, 1, all.predicted);
      gather<float>(resources, joined_rows(some->probabilities), outputs, all.probabilities);
    }
    gather<std::int32_t>(resources, some->experts, all.slots, all.experts);
    gather<float>(resources, joined_rows(some->gate_weights), all.slots, all.gate_weights);
    if (!with_expert_outputs) continue;
    all.outputs = some->expert_outputs.cols;
    Vector<float> rows(std::ssize(some->experts) * all.outputs);
    for (index_t slot = 0; slot < std::ssize(some->experts); ++slot) {
      if (!some->dropped.empty() && some->dropped[slot] != 0) continue;
      std::copy_n(some->expert_outputs.row(slot), all.outputs, rows.data() + slot * all.outputs);
    }
    gather<float>(resources, rows, all.slots * all.outputs, all.expert_outputs);
  }
  return all;
}

}  // namespace switchyard::train
