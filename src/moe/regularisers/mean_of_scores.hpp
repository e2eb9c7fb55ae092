// A regulariser that is a mean over samples of one figure of their scores, of which z-loss and entropy are.
#pragma once

#include "moe/regulariser.hpp"

namespace switchyard::moe {

class MeanOfScores final : public Regulariser {
 public:
  using Figure = Span<double> RoutedSamples::ScoreStatistics::*;
  using Gradient = double RegulariserGradients::*;  // the weight that the router's backward reads

  MeanOfScores(double weight, Figure figure, Gradient gradient)
      : weight_(weight), figure_(figure), gradient_(gradient) {}

  void measure(RoutedSamples& samples) override { of_samples_ = samples.score_statistics().*figure_; }

  index_t width() const override { return 1; }

  void add_shards(device::Context& /*context*/, const ops::TileSums& sums,
                  ops::RowFigures& figures) const override {
    figures.add(of_samples_, sums, 0);
  }

  void complete(device::Context& context, const BatchSums& of) override {
    ops::mean_of_samples(context, of.own.data(), of.samples, weight_, {.loss = of.loss});
    share_ = of.share;
  }

  void add_gradient(RegulariserGradients& gradients) const override {
    gradients.*gradient_ += share_ * weight_;
  }

 private:
  double weight_;
  Figure figure_;
  Gradient gradient_;
  double share_ = 1;
  Span<const double> of_samples_;  // [N]
};

}  // namespace switchyard::moe
