#include "moe/regularisers.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::moe {

namespace {

constexpr auto kinds = []<std::size_t... row>(std::index_sequence<row...>) {
  std::array<RegulariserKind,
             std::ranges::count_if(regulariser_rows, [](const RegulariserRow& of) { return !of.loss.empty(); })>
      all{};
  auto next = all.begin();
  const auto add = [&]<std::size_t i>(std::integral_constant<std::size_t, i>) {
    constexpr RegulariserRow of = regulariser_rows[i];
    if constexpr (!of.loss.empty())
      *next++ = {of.loss, [](const Options& options) { return make_regulariser(Of<of.weight>{}, options); }};
  };
  (add(std::integral_constant<std::size_t, row>{}), ...);
  return all;
}
(std::make_index_sequence<regulariser_rows.size()>{});

}  // namespace

Span<const RegulariserKind> regulariser_kinds() { return kinds; }

const RoutedSamples::ScoreStatistics& RoutedSamples::score_statistics() {
  if (!has_score_statistics_) {
    device::Workspace& workspace = pass.workspace();
    score_statistics_ = {workspace.allocate<double>(routing.samples),
                         workspace.allocate<double>(routing.samples)};
    ops::score_statistics(pass.context, routing.scores, score_statistics_.squared_log_sums,
                          score_statistics_.entropies);
    has_score_statistics_ = true;
  }
  return score_statistics_;
}

tensor::ConstMatrix RoutedSamples::probabilities() {
  if (probabilities_.data == nullptr) {
    probabilities_ = tensor::allocate_matrix(pass.workspace(), routing.samples, routing.scores.cols);
    ops::softmax(pass.context, routing.scores, probabilities_);
  }
  return probabilities_;
}

Regularisers::Regularisers(const Options& options) {
  for (std::size_t kind = 0; kind < std::size(kinds); ++kind) {
    if (std::unique_ptr<Regulariser> regulariser = kinds[kind].make(options)) {
      const index_t first_sum = width_;
      width_ += regulariser->width();
      in_use_.push_back({std::move(regulariser), kind, first_sum});
    }
  }
}

void Regularisers::measure(const nn::Pass& pass, const Router& router, const Routing& routing) {
  RoutedSamples samples(pass, router, routing);
  for (const InUse& of : in_use_) of.regulariser->measure(samples);
}

void Regularisers::add_shards(device::Context& context, const ops::TileSums& sums,
                              ops::RowFigures& figures) const {
  for (const auto& [regulariser, kind, first_sum] : in_use_)
    regulariser->add_shards(context, sums.from(first_sum), figures);
}

void Regularisers::complete(device::Context& context, const Of& of, Span<double> losses) {
  for (const auto& [regulariser, kind, first_sum] : in_use_) {
    regulariser->complete(context, {.own = of.sums.subspan(first_sum, regulariser->width()),
                                    .importance = of.importance,
                                    .samples = of.samples,
                                    .share = of.share,
                                    .loss = &losses[kind]});
  }
}

RegulariserGradients Regularisers::gradients() const {
  RegulariserGradients all;
  for (const InUse& of : in_use_) of.regulariser->add_gradient(all);
  return all;
}

}  // namespace switchyard::moe
