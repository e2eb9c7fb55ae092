// A regulariser that is a mean over samples of one figure of their scores, of which z-loss and entropy are.
#pragma once

#include "moe/regulariser.hpp"
#include "ops/reduce.hpp"

namespace switchyard::moe {

class MeanOfScores final : public Regulariser {
 public:
  using Figure = Span<double> RoutedSamples::ScoreStatistics::*;
  using Gradient = double RegulariserGradients::*;  // the weight that the router's backward reads

  MeanOfScores(double weight, Figure figure, Gradient gradient)
      : weight_(weight), figure_(figure), gradient_(gradient) {}

  void measure(RoutedSamples& samples) override { of_samples_ = samples.score_statistics().*figure_; }

  index_t width() const override { return 1; }

  void add_shard(device::Context& context, IndexRange rows, Span<double> sums) const override {
    ops::add_sum(context, of_samples_.subspan(rows.begin, rows.size()), sums[0]);
  }

  double complete(const BatchSums& of) override {
    return weight_ * of.own[0] / static_cast<double>(of.samples);
  }

  void add_gradient(device::Workspace& /*workspace*/, RegulariserGradients& gradients) const override {
    gradients.*gradient_ += weight_;
  }

 private:
  double weight_;
  Figure figure_;
  Gradient gradient_;
  Span<const double> of_samples_;  // [N]
};

}  // namespace switchyard::moe
