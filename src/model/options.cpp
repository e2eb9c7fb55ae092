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
                                     config::Word{Family::tokens, "tokens"}};
constexpr std::array fields = {
    identity.choice<&Options::family, family_words>(
        "family",
        "mixture: one mixture layer on samples; tokens: blocks of them on the bytes of data.source = text"),
    in_headline("gate",
                identity.text<&Options::gate>(
                    "gate",
                    "the gate's layers, such as: conv:8 relu max_pool dense:32 relu dense:experts, or "
                    "ending in attention:experts; most_certain:experts: no gate, the most certain expert "
                    "answers; by_label:experts: moe.partition; none: a single expert")),
    identity.text<&Options::expert>(
        "expert",
        "an expert's layers, such as: dense:64 relu dense:classes; with model.family = tokens it ends in "
        "dense:width"),
    arithmetic.choice<&Options::loss, head_kinds>("loss", {loss_help.data(), loss_help.size()}),
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

std::vector<config::Section> sections() {
  config::Section tokens =
      config::section_at<&Options::tokens>("tokens", "model.family = tokens", tokens_fields);
  tokens.is_in_use = [](const void* whole) {
    return static_cast<const Options*>(whole)->family == Family::tokens;
  };
  tokens.condition = "model.family = tokens";
  return {{"model", "the networks", fields}, std::move(tokens)};
}

}  // namespace switchyard::model
