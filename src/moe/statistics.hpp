// What a model did over the global batch or a whole split: its losses, and what each of its mixture layers did.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <numbers>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "moe/routing_statistics.hpp"

namespace switchyard::moe {

// Exact and the same on every layout, as RoutingStatistics.
class Statistics {
 public:
  struct Layer {
    std::string name;  // the scope of its parameters; empty: the model is that one layer
    RoutingStatistics routing;
  };

  // What the data call their classes and groups, in order; empty where they have no names for them.
  struct Names {
    std::vector<std::string> classes, groups;
  };
  static const std::shared_ptr<const Names>& no_names();

  Statistics() = default;
  explicit Statistics(std::vector<Layer> of_layers) : layers(std::move(of_layers)) {}

  void clear();
  void add(const Statistics& other);
  // Calls use(counts) for every array of counts, in one order: they are summed over ranks.
  void for_each_counts(const auto& use) {
    use(Span<std::int64_t>(counts_));
    for (Layer& layer : layers) use(layer.routing.counts());
  }
  // All of them, one array after the other, in that order.
  void set_counts(Span<const std::int64_t> counts);

  // What losses are means over: samples, or tokens; and how many of them had a wrong prediction.
  std::int64_t& samples() { return counts_[0]; }
  std::int64_t& errors() { return counts_[1]; }
  std::int64_t samples() const { return counts_[0]; }
  std::int64_t errors() const { return counts_[1]; }
  std::int64_t sent_rows() const;  // of all layers

  // Share of wrong predictions; mean of the objective that is trained; mean -ln of the probability that the
  // prediction gives the label, or, of labels that are real numbers, of its density, in the units of the data.
  double error() const { return per_sample(static_cast<double>(errors())); }
  double task_loss() const { return per_sample(task_loss_sum); }
  double likelihood_loss() const;
  // Where labels are real numbers: the mean over targets of the mean squared error, in the units of the data,
  // and of the share of the split's variance that the prediction explains (of evaluations; 0 where there is
  // none).
  bool is_regression() const { return !targets.units.empty(); }
  double mean_squared_error() const;
  double r2() const;
  // Of a model of tokens: among so many equally probable ones it would be as unsure.
  double perplexity() const { return std::exp(likelihood_loss()); }
  // Of the text that the tokens stand for. 0 where they stand for none.
  double bits_per_byte() const {
    return token.bytes > 0 ? likelihood_loss() * std::numbers::log2e / token.bytes : 0.0;
  }

  // The model is one mixture layer.
  bool is_one_layer() const { return layers.size() == 1 && layers.front().name.empty(); }
  const RoutingStatistics& routing() const { return layers.front().routing; }
  RoutingStatistics& routing() { return layers.front().routing; }

  double task_loss_sum = 0;
  double likelihood_loss_sum = 0;  // of evaluations; a step does not ask for it
  Vector<double> squared_errors;   // of each target, summed over samples, in the units that the model learns
  std::vector<Layer> layers;
  std::shared_ptr<const Names> names = no_names();
  // Of a model of tokens: what one is called, and how many bytes of text the evaluated ones are in the mean.
  // Of labels that are real numbers.
  struct Targets {
    std::vector<double> units;      // what 1 is of the data's own
    std::vector<double> variances;  // of an evaluated split, in those that the model learns
    bool are_densities = false;     // what likelihood_loss_sum is of; else squared errors are the loss
  } targets;
  struct Token {
    std::string_view name = "byte";
    double bytes = 1;
  } token;

 private:
  double per_sample(double sum) const;

  Vector<std::int64_t> counts_ = Vector<std::int64_t>(2, 0);
};

}  // namespace switchyard::moe
