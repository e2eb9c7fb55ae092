// Forward of one batch, whose figures a test reads at once.
#pragma once

#include "device/copy.hpp"
#include "device/transfer.hpp"
#include "model/model.hpp"

namespace switchyard::model {

// Statistics and regularisers' losses of that batch alone. Throws as Model::expect_finite().
inline void measure(Model& model, const nn::Pass& pass, moe::Statistics& statistics,
                    Vector<double>& regularisers) {
  device::Context& context = pass.context;
  const moe::BatchFigures figures{context.workspace().allocate<double>(model.sum_count()),
                                  context.workspace().allocate<std::int64_t>(model.count_count())};
  device::zero_on_device<double>(context, figures.sums);
  device::zero_on_device<std::int64_t>(context, figures.counts);
  model.forward(pass, figures);
  const Span<const double> sums = device::fetch<const double>(context, figures.sums);
  const Span<const std::int64_t> counts = device::fetch<const std::int64_t>(context, figures.counts);
  context.wait();
  model.read(sums, counts, statistics, regularisers);
  model.expect_finite(statistics, sums);
}

}  // namespace switchyard::model
