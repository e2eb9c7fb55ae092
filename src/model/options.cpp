#include "model/options.hpp"

#include <algorithm>

#include "base/span.hpp"
#include "config/field_table.hpp"
#include "config/name_pattern.hpp"
#include "config/require.hpp"
#include "moe/expert_name.hpp"

namespace switchyard::model {
namespace {

// Calls add(text) with every part of the help of `loss`.
constexpr void for_loss_help(const auto& add) {
  for (const HeadKind& kind : head_kinds) {
    if (kind.help.empty()) continue;
    for (const std::string_view part : {kind.name, std::string_view(": "), kind.help, std::string_view("; ")})
      add(part);
  }
  add("the others score the gate-weighted sum of their outputs");
}
constexpr auto loss_help = [] {
  constexpr std::size_t size = [] {
    std::size_t sum = 0;
    for_loss_help([&](std::string_view part) { sum += part.size(); });
    return sum;
  }();
  std::array<char, size> text{};
  auto end = text.begin();
  for_loss_help([&](std::string_view part) { end = std::ranges::copy(part, end).out; });
  return text;
}();
constexpr std::array init_words = {config::Word{nn::InitialValues::uniform, "uniform"},
                                   config::Word{nn::InitialValues::normal, "normal"}};

constexpr config::FieldTable<Options> arithmetic{config::Role::arithmetic};
constexpr config::FieldTable<Options> identity{config::Role::identity};
constexpr config::FieldTable<Options> training{config::Role::training};
constexpr std::array family_words = {config::Word{Family::mixture, "mixture"},
                                     config::Word{Family::tokens, "tokens"},
                                     config::Word{Family::transformer, "transformer"}};
constexpr std::array fields = {
    identity.choice<&Options::family, family_words>(
        "family",
        "mixture: one mixture layer on samples; tokens: blocks of them on a text; "
        "transformer: attention and mixtures, with the sizes of [transformer]"),
    in_headline(
        "gate",
        identity.text<&Options::gate>(
            "gate",
            "the gate's layers, such as: conv:8 relu max_pool dense:32 relu dense:experts, or "
            "ending in cosine:experts or attention:experts; most_certain:experts: no gate, the most certain expert "
            "answers; by_label:experts: moe.partition; none: a single expert")),
    identity.text<&Options::expert>(
        "expert",
        "an expert's layers, such as: dense:64 relu dense:classes; with model.family = tokens it ends in "
        "dense:width"),
    arithmetic.choice<&Options::loss, head_kinds>("loss", {loss_help.data(), loss_help.size()}),
    arithmetic.number<&Options::deviation>(
        "deviation", config::above_zero,
        "gaussian: the standard deviation of a label about an expert's output, in the units that the model learns"),
    training.choice<&Options::init, init_words>(
        "init", "of first weights; uniform: up to 1/sqrt(inputs); normal: standard deviation 1"),
    training.number<&Options::gate_init_scale>("gate_init_scale", config::not_negative,
                                               "multiplies the gate's first weights and biases"),
    training.number<&Options::expert_init_scale>("expert_init_scale", config::not_negative,
                                                 "multiplies the experts' first weights and biases"),
};

constexpr config::FieldTable<TokensOptions> tokens_identity{config::Role::identity};
constexpr std::array tokens_fields = {
    tokens_identity.integer<&TokensOptions::width>("width", 1, 1'000'000, "numbers that a token becomes"),
    tokens_identity.integer<&TokensOptions::blocks>("blocks", 1, 100,
                                                    "residual blocks, each a norm and a mixture"),
};

constexpr config::FieldTable<TransformerOptions> transformer_identity{config::Role::identity};
constexpr config::FieldTable<TransformerOptions> transformer_arithmetic{config::Role::arithmetic};
constexpr std::array quantiser_words = {config::Word{nn::Quantiser::none, "none"},
                                        config::Word{nn::Quantiser::bitnet, "bitnet"}};
constexpr std::array transformer_fields = {
    transformer_identity.integer<&TransformerOptions::width>("width", 2, 1'000'000,
                                                             "numbers that a token becomes"),
    transformer_identity.integer<&TransformerOptions::layers>(
        "layers", 1, 1'000, "each attention and a feed-forward network or a mixture of them", "layers"),
    transformer_identity.integer<&TransformerOptions::heads>(
        "heads", 1, 100'000, "of attention; width / heads is an even number", "heads"),
    transformer_identity.integer<&TransformerOptions::hidden>(
        "hidden", 1, 1'000'000, "width of the SwiGLU of a layer that is no mixture; moe.hidden is an expert's"),
    transformer_identity.integer<&TransformerOptions::vocabulary>(
        "vocabulary", 0, 1'000'000, "tokens that there are; 0: as many as the data have", "tokens"),
    transformer_identity.integer<&TransformerOptions::window>("window", 1, 65'535, "tokens of a sequence",
                                                              "tokens"),
    transformer_identity.integer<&TransformerOptions::mixture_every>(
        "mixture_every", 0, 1'000, "2: every second layer is a mixture; 0: none", "layers"),
    transformer_identity.number<&TransformerOptions::rotary_base>("rotary_base", config::above_zero,
                                                                  "of the angles of rotary positions"),
    transformer_identity.choice<&TransformerOptions::tied, config::yes_no_words>(
        "tied", "yes: tokens are scored by the table that they come from; no: by one of its own"),
    transformer_identity.number<&TransformerOptions::dropout>(
        "dropout", config::Range{.min = 0, .max = 1, .max_excluded = true},
        "probability that a number of an embedding, of an attention or of what follows it is dropped in training"),
    transformer_identity.choice<&TransformerOptions::across_documents, config::yes_no_words>(
        "across_documents", "no: a token sees none of other documents in its window"),
    transformer_arithmetic.choice<&TransformerOptions::quantise, quantiser_words>(
        "quantise",
        "bitnet: attention and feed-forward networks, experts too, multiply -1, 0 and 1 by rows of eight bits"),
    free_in_evaluation(
        transformer_arithmetic.choice<&TransformerOptions::integer_products, config::yes_no_words>(
            "integer_products",
            "with quantise = bitnet: forward multiplies them as int8, which gives the same bits")),
};

}  // namespace

Frozen frozen_networks(const std::string& patterns, index_t experts) {
  Frozen frozen;
  Vector<char> named(experts, 0);
  for (const config::NamePattern& pattern : config::parse_name_patterns(patterns)) {
    bool found = pattern.covers("gate");
    frozen.gate = frozen.gate || found;
    for (index_t e = 0; e < experts; ++e) {
      if (!pattern.covers(moe::expert_name(ExpertId(e)))) continue;
      named[e] = 1;
      found = true;
    }
    config::require(
        found,
        "train.freeze = {}: '{}' is the name of no whole network (networks are frozen whole, and the "
        "experts together); write gate, experts or all",
        patterns, pattern.text());
  }
  const auto count = std::ranges::count(named, 1);
  config::require(
      count == 0 || count == experts,
      "train.freeze = {} names {} of {} experts (they are frozen together or not at all); write experts",
      patterns, count, experts);
  frozen.experts = count > 0;
  return frozen;
}

nn::NetworkRole expert_role(Family family) {
  return family == Family::tokens ? nn::NetworkRole::inner_expert : nn::NetworkRole::expert;
}

std::string gate_text(const Options& options, const moe::Options& moe) {
  return options.family == Family::transformer ? std::string(moe::gate_of(moe.router)) : options.gate;
}

bool has_mixture(const Options& options) { return !reads_tokens(options.family) || inner_layers(options) > 0; }

index_t inner_layers(const Options& options) {
  switch (options.family) {
    case Family::mixture:
      return 0;
    case Family::tokens:
      return options.tokens.blocks;
    case Family::transformer:
      return options.transformer.mixture_every > 0
                 ? options.transformer.layers / options.transformer.mixture_every
                 : 0;
  }
  return 0;
}

std::vector<config::Section> sections() {
  const auto of_family = []<Family family>(config::Section section) {
    section.is_in_use = [](const void* whole) { return static_cast<const Options*>(whole)->family == family; };
    section.condition = section.help;
    return section;
  };
  return {{"model", "the networks", fields},
          of_family.operator()<Family::tokens>(
              config::section_at<&Options::tokens>("tokens", "model.family = tokens", tokens_fields)),
          of_family.operator()<Family::transformer>(config::section_at<&Options::transformer>(
              "transformer", "model.family = transformer", transformer_fields))};
}

}  // namespace switchyard::model
