#include "moe/options.hpp"

#include <algorithm>

#include "config/field_table.hpp"

namespace switchyard::moe {
namespace {

constexpr std::array gate_value_words = {config::Word{GateValue::softmax, "softmax"},
                                         config::Word{GateValue::noisy_softmax, "noisy_softmax"},
                                         config::Word{GateValue::noisy_logit, "noisy_logit"}};
constexpr std::array scores_words = {config::Word{GateScores::softmax, "softmax"},
                                     config::Word{GateScores::sigmoid, "sigmoid"}};
constexpr std::array normalise_words = {config::Word{Normalise::automatic, "auto"},
                                        config::Word{Normalise::chosen, "chosen"},
                                        config::Word{Normalise::all, "all"}};
constexpr std::array noise_words = {config::Word{GateNoise::none, "none"},
                                    config::Word{GateNoise::uniform, "uniform"},
                                    config::Word{GateNoise::normal, "normal"}};
constexpr std::array draw_words = {config::Word{NoiseDraw::every_step, "every_step"},
                                   config::Word{NoiseDraw::once, "once"}};
constexpr std::array when_words = {config::Word{When::training, "training"},
                                   config::Word{When::always, "always"}};
constexpr std::array drop_words = {config::Word{DropBy::position, "position"},
                                   config::Word{DropBy::score, "score"}};
constexpr std::array around_words = {config::Word{AroundSubTokens::automatic, "auto"},
                                     config::Word{AroundSubTokens::yes, "yes"},
                                     config::Word{AroundSubTokens::no, "no"}};
constexpr std::array placement_words = {config::Word{PlacementRule::block, "block"},
                                        config::Word{PlacementRule::cyclic, "cyclic"}};

constexpr config::FieldTable<Options> arithmetic{config::Role::arithmetic};
constexpr config::FieldTable<Options> identity{config::Role::identity};
constexpr config::FieldTable<Options> placement{config::Role::placement};
constexpr config::FieldTable<Options> training{config::Role::training};
constexpr std::array of_the_layer = {
    in_headline("experts", identity.integer<&Options::experts>("experts", 1, 1'000'000,
                                                               "how many, on all ranks together", "experts")),
    in_headline("top_k",
                free_in_evaluation(arithmetic.integer<&Options::top_k>(
                    "top_k", 0, 1'000'000, "experts that see a sample; 0: dense, all of them", "experts"))),
    identity.choice<&Options::router, router_words>(
        "router",
        "with model.family = transformer: linear, a matrix without a bias; cosine, as a gate of cosine:experts"),
    identity.integer<&Options::hidden>("hidden", 1, 1'000'000,
                                       "with model.family = transformer: width of an expert's SwiGLU"),
    identity.integer<&Options::sub_heads>(
        "sub_heads", 1, 1'000,
        "with model.family = transformer: sub-tokens of a token, which are routed one by one between a head and a "
        "merge layer",
        "sub-tokens"),
    identity.choice<&Options::head, around_words>(
        "head",
        "with model.family = transformer: a matrix before the mixture; auto: where sub_heads is above 1"),
    identity.choice<&Options::merge, around_words>("merge", "the same behind it"),
    identity.integer<&Options::shared_hidden>(
        "shared_hidden", 0, 1'000'000,
        "with model.family = transformer: width of an expert that sees every token; 0: none"),
    arithmetic.text<&Options::partition>(
        "partition", "with model.gate = by_label:experts: each expert's labels, such as: 0 7 | 1 9"),
    identity.integer<&Options::cosine_width>(
        "cosine_width", 1, 1'000'000,
        "with cosine:experts or moe.router = cosine: length of the vectors that are compared", "numbers"),
    arithmetic.number<&Options::cosine_temperature>(
        "cosine_temperature", config::above_zero,
        "with cosine:experts or moe.router = cosine: what cosines are divided by at first; it is learned"),
    training.number<&Options::expert_temperature>(
        "expert_temperature", config::above_zero,
        "divides the scores by which experts learn, not those by which the gate does; 1: the same"),
    arithmetic.choice<&Options::gate_value, gate_value_words>(
        "gate_value",
        "what multiplies an expert's output: the softmax of the scores, of the scores with noise, or "
        "the noisy score itself"),
    arithmetic.choice<&Options::scores, scores_words>(
        "scores", "what weights are of: softmax, e to the score; sigmoid, 1/(1 + e to minus the score)"),
    arithmetic.choice<&Options::normalise, normalise_words>(
        "normalise",
        "what they are divided by: chosen, their sum over a sample's experts; all, over all experts, and a "
        "sigmoid by nothing; auto: all where top_k is 1, otherwise chosen"),
    arithmetic.number<&Options::scale>("scale", config::above_zero,
                                       "of the weights, where they multiply what experts return"),
    free_in_evaluation(arithmetic.number<&Options::bias_rate>(
        "bias_rate", config::not_negative,
        "a bias of each expert's share balances the loads (Wang et al. 2024): what it moves by after a step; "
        "0: off")),
    free_in_evaluation(arithmetic.integer<&Options::groups>(
        "groups", 0, 1'000'000, "of neighbouring experts, of which a sample's are in the best few; 0: off",
        "groups")),
    free_in_evaluation(arithmetic.integer<&Options::top_groups>(
        "top_groups", 0, 1'000'000, "those few, by the sum of a group's two largest shares (DeepSeek-V3)",
        "groups")),
    free_in_evaluation(arithmetic.number<&Options::capacity>(
        "capacity", config::not_negative,
        "slots of a batch that an expert takes, in even shares: ceil(capacity * top_k * rows / experts); those above "
        "are dropped; 0: no limit")),
    free_in_evaluation(arithmetic.choice<&Options::drop, drop_words>(
        "drop",
        "position: an expert's last, all second choices behind all first ones; score: those of the smallest "
        "weights")),
    free_in_evaluation(arithmetic.choice<&Options::capacity_when, when_words>(
        "capacity_when", "training, or always: in evaluation too")),
    arithmetic.choice<&Options::noise, noise_words>(
        "noise",
        "added to the scores before the top k are chosen; uniform: from [0, noise_scale); normal: with mean 0"),
    arithmetic.number<&Options::noise_scale>(
        "noise_scale", config::not_negative,
        "of the noise; 0: uniform up to 1, normal with standard deviation 1/experts"),
    arithmetic.choice<&Options::noise_draw, draw_words>("noise_draw", "every_step, or once for each sample"),
    arithmetic.choice<&Options::noise_when, when_words>("noise_when", "training, or always: in evaluation too"),
};
constexpr auto weights = []<std::size_t... row>(std::index_sequence<row...>) {
  return std::array{
      in_headline(regulariser_rows[row].headline,
                  training.number<regulariser_rows[row].weight>(regulariser_rows[row].key, config::not_negative,
                                                                regulariser_rows[row].help))...};
}
(std::make_index_sequence<regulariser_rows.size()>{});
constexpr std::array others = {
    training.integer<&Options::similarity_layer>(
        "similarity_layer", 0, 1'000,
        "distances of 0: the samples; k: the output of the gate's k-th layer with weights", "layers"),
    placement.choice<&Options::placement, placement_words>(
        "placement", "block: neighbouring experts share a rank; cyclic: expert e on rank e mod R"),
    placement.integer<&Options::replicas>(
        "replicas", 1, 1'000,
        "ranks that hold each expert, which share out its rows and its update; the number of ranks is a multiple",
        "ranks"),
    arithmetic.integer<&Options::gradient_blocks>(
        "gradient_blocks", 0, 1'000,
        "of an expert's rows, which its gradient is a sum over, so that replicas can share them out; 0: one product "
        "over all",
        "blocks"),
};

constexpr auto fields = [] {
  std::array<config::Field, of_the_layer.size() + weights.size() + others.size()> all{};
  auto end = std::ranges::copy(of_the_layer, all.begin()).out;
  end = std::ranges::copy(weights, end).out;
  std::ranges::copy(others, end);
  return all;
}();

}  // namespace

bool weighs_over_chosen(const Options& options) {
  const bool one = options.top_k == 1 || options.experts == 1;
  return options.normalise == Normalise::chosen || (options.normalise == Normalise::automatic && !one);
}

bool weights_are_probabilities(const Options& options) {
  if (weighs_over_chosen(options)) return true;
  return options.scores == GateScores::softmax && (options.top_k == 1 || !chooses(options));
}

std::string_view word_of(const Options& options, std::string_view key) {
  const auto& choice = std::get<config::Choice>(std::ranges::find(fields, key, &config::Field::key)->type);
  return choice.names[choice.get(&options)];
}

std::vector<RegulariserWeight> regulariser_weights(const Options& options) {
  std::vector<RegulariserWeight> all;
  for (const RegulariserRow& row : regulariser_rows) all.push_back({row.key, options.*row.weight});
  return all;
}

config::Section section() { return {"moe", "the mixture of experts", fields}; }

}  // namespace switchyard::moe
