// The kinds of regularisers: a row for each, and a file of the folder.
#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <type_traits>

namespace switchyard::moe {

// Their weights: a part of Options, keys of [moe]. 0: off.
struct RegulariserWeights {
  double importance = 0;
  double balance = 0;
  double z_loss = 0;
  double gate_entropy = 0;  // of a sample's gate probabilities
  double load = 0;
  double similarity = 0;  // or the two published ones
  double similarity_same = 0;
  double similarity_different = 0;
};

struct RegulariserRow {
  double RegulariserWeights::*weight;
  std::string_view key;
  std::string_view
      loss;  // the name of its part of the loss in metrics.jsonl; empty: another form of the row above
  std::string_view help;
  std::string_view headline = {};  // its word in the headline of a report; empty: not shown there
};

// In the order in which losses are added up and listed.
inline constexpr std::array regulariser_rows = {
    RegulariserRow{&RegulariserWeights::importance, "importance", "importance_loss",
                   "weight of the importance regulariser (Shazeer et al. 2017); 0: off", "importance"},
    RegulariserRow{&RegulariserWeights::balance, "balance", "balance_loss",
                   "weight of the balance loss (Fedus et al. 2021, Switch); 0: off"},
    RegulariserRow{&RegulariserWeights::z_loss, "z_loss", "z_loss",
                   "weight of the router z-loss (Zoph et al. 2022, ST-MoE); 0: off"},
    RegulariserRow{&RegulariserWeights::gate_entropy, "gate_entropy", "gate_entropy_loss",
                   "weight of the mean entropy of a sample's gate probabilities, in nats; 0: off"},
    RegulariserRow{&RegulariserWeights::load, "load", "load_loss",
                   "weight of the load regulariser (Shazeer et al. 2017), for top k with normal noise; 0: off"},
    RegulariserRow{
        &RegulariserWeights::similarity, "similarity", "similarity_loss",
        "weight of the sample-similarity regulariser (Krishnamurthy et al. 2023) with distances divided by "
        "their mean, of the softmax over all experts, with top k too; 0: off"},
    RegulariserRow{&RegulariserWeights::similarity_same, "similarity_same", "",
                   "the same as published, with plain distances: of one expert's samples"},
    RegulariserRow{&RegulariserWeights::similarity_different, "similarity_different", "",
                   "as published: of different experts' samples"},
};

// Who makes them, in a file of its own; null where the weight is 0.
class Regulariser;
struct Options;
template <double RegulariserWeights::*weight>
struct Of {};
using Made = std::unique_ptr<Regulariser>;
Made make_regulariser(Of<&RegulariserWeights::importance>, const Options&);
Made make_regulariser(Of<&RegulariserWeights::balance>, const Options&);
Made make_regulariser(Of<&RegulariserWeights::z_loss>, const Options&);
Made make_regulariser(Of<&RegulariserWeights::gate_entropy>, const Options&);
Made make_regulariser(Of<&RegulariserWeights::load>, const Options&);
Made make_regulariser(Of<&RegulariserWeights::similarity>, const Options&);

}  // namespace switchyard::moe
