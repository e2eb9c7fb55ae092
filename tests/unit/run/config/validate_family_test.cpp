#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "run/config.hpp"
#include "run/validate.hpp"
#include "unit/run/config/valid_config.hpp"

namespace switchyard::run {
namespace {

using switchyard::test::config_error_of;
using testing::AllOf;
using testing::HasSubstr;

Config of_text() {
  Config config;
  config.run.dir = "runs/text";
  config.data.source = data::Source::text;
  config.data.dir = "texts";
  config.model.family = model::Family::tokens;
  config.model.gate = "dense:32 relu dense:experts";
  config.model.expert = "dense:64 relu dense:width";
  return config;
}

std::string error_of(const std::function<void(Config&)>& change) {
  Config config = of_text();
  change(config);
  return config_error_of([&] { validate(config); });
}

TEST(ValidateFamily, accepts_what_a_model_of_text_takes) {
  Config config = of_text();
  EXPECT_NO_THROW(validate(config));
  config.moe.top_k = 2;
  config.moe.noise = moe::GateNoise::normal;
  config.moe.gate_value = moe::GateValue::noisy_logit;
  config.moe.load = config.moe.similarity = config.moe.z_loss = 0.1;
  config.train.parts = 4;
  EXPECT_NO_THROW(validate(config));
}

TEST(ValidateFamily, text_and_tokens_belong_together) {
  for (const auto& change : std::vector<std::function<void(Config&)>>{
           [](Config& c) { c.model.family = model::Family::mixture, c.model.expert = "dense:classes"; },
           [](Config& c) { c.data.source = data::Source::random, c.data.dir = ""; }}) {
    EXPECT_THAT(
        error_of(change),
        AllOf(HasSubstr("(a mixture reads rows of numbers, and the other families the tokens of a text)"),
              HasSubstr(
                  "set model.family = tokens or transformer and data.source = text or tokens, or neither")));
  }
  EXPECT_THAT(error_of([](Config& c) { c.data.source = data::Source::random, c.data.dir = ""; }),
              HasSubstr("model.family = tokens with data.source = random"));
}

TEST(ValidateFamily, tokens_have_a_loss_of_their_own) {
  EXPECT_THAT(error_of([](Config& c) { c.model.loss = model::Loss::stochastic; }),
              HasSubstr("model.loss = stochastic with model.family = tokens"));
  EXPECT_THAT(error_of([](Config& c) { c.moe.expert_temperature = 2; }),
              HasSubstr("moe.expert_temperature = 2 with model.family = tokens"));
}

TEST(ValidateFamily, routers_of_tokens_score_the_row_alone) {
  for (const char* const gate : {"attention:experts", "most_certain:experts", "none", "by_label:experts"}) {
    EXPECT_THAT(error_of([&](Config& c) {
                  c.model.gate = gate;
                  if (c.model.gate == "none") c.moe.experts = 1;
                  if (c.model.gate == "by_label:experts") c.moe.partition = "0 | 1 | 2 | 3 | 4";
                }),
                HasSubstr("with model.family = tokens (its routers score the experts by the row alone)"))
        << gate;
  }
}

TEST(ValidateFamily, experts_of_tokens_end_in_the_width) {
  EXPECT_THAT(error_of([](Config& c) { c.model.expert = "dense:64 relu dense:classes"; }),
              HasSubstr("is not how an expert of model.family = tokens ends"));
  EXPECT_THAT(error_of([](Config& c) { c.model.expert = "patch_filters:4 cubic sum:width"; }),
              HasSubstr("patch_filters with model.family = tokens"));
  EXPECT_THAT(error_of([](Config& c) { c.model.expert = "padded_conv:4 relu dense:width"; }),
              HasSubstr("model.expert has layers of images, such as conv and max_pool"));
  Config mixture = switchyard::run::test::valid();
  mixture.model.expert = "dense:64 relu dense:width";
  EXPECT_NE(config_error_of([&] { validate(mixture); }), "");
}

TEST(ValidateFamily, all_of_a_model_of_text_is_trained) {
  EXPECT_THAT(error_of([](Config& c) { c.train.freeze = "gate"; }),
              HasSubstr("train.freeze = gate with model.family = tokens (all of it is trained)"));
}

TEST(ValidateFamily, its_keys_are_refused_elsewhere) {
  EXPECT_THAT(config_error_of([] {
                Config config = switchyard::run::test::valid();
                config.model.tokens.width = 9;
                validate(config);
              }),
              HasSubstr("tokens.width"));
}

Config of_transformer() {
  Config config = of_text();
  config.model.family = model::Family::transformer;
  config.model.gate = config.model.expert = "";
  config.moe.top_k = 2;
  return config;
}

std::string transformer_error_of(const std::function<void(Config&)>& change) {
  Config config = of_transformer();
  change(config);
  return config_error_of([&] { validate(config); });
}

TEST(ValidateFamily, accepts_what_a_transformer_takes) {
  Config config = of_transformer();
  EXPECT_NO_THROW(validate(config));
  config.moe.hidden = 12;
  config.moe.balance = config.moe.z_loss = 0.1;
  EXPECT_NO_THROW(validate(config));
  config = of_transformer();
  config.moe.top_k = 0;
  config.model.transformer.mixture_every = 0;
  EXPECT_NO_THROW(validate(config));
}

TEST(ValidateFamily, a_transformer_without_a_mixture_has_no_keys_of_one) {
  for (const auto& change : std::vector<std::function<void(moe::Options&)>>{
           [](moe::Options& moe) { moe.balance = 0.1; }, [](moe::Options& moe) { moe.z_loss = 0.1; },
           [](moe::Options& moe) { moe.sub_heads = 2; }, [](moe::Options& moe) { moe.shared_hidden = 8; },
           [](moe::Options& moe) { moe.head = moe::AroundSubTokens::yes; },
           [](moe::Options& moe) { moe.router = moe::RouterOfRows::cosine; },
           [](moe::Options& moe) { moe.capacity = 1; }, [](moe::Options& moe) { moe.top_k = 2; },
           [](moe::Options& moe) { moe.experts = 7; }, [](moe::Options& moe) { moe.hidden = 7; },
           [](moe::Options& moe) { moe.scale = 2; },
           [](moe::Options& moe) { moe.capacity_when = moe::When::always; }}) {
    EXPECT_THAT(transformer_error_of([&](Config& c) {
                  c.moe.top_k = 0;
                  c.model.transformer.mixture_every = 0;
                  change(c.moe);
                }),
                HasSubstr("transformer.mixture_every = 0 (there is no mixture)"));
  }
}

TEST(ValidateFamily, keys_that_a_model_without_a_mixture_does_not_read_are_named_with_their_values) {
  EXPECT_THAT(transformer_error_of([](Config& c) {
                c.model.transformer.mixture_every = 0;
                c.moe.top_k = 0;
                c.moe.hidden = 7;
                c.moe.scale = 2;
                c.optim.gate_learning_rate = 0.25;
              }),
              HasSubstr("moe.hidden = 7, moe.scale = 2, optim.gate_learning_rate = 0.25 with "
                        "transformer.mixture_every = 0"));
}

TEST(ValidateFamily, a_transformer_has_sizes_and_no_texts_of_networks) {
  EXPECT_THAT(transformer_error_of([](Config& c) { c.model.gate = "dense:experts"; }),
              AllOf(HasSubstr("model.gate = 'dense:experts'"), HasSubstr("remove them")));
  EXPECT_THAT(transformer_error_of([](Config& c) { c.model.expert = "dense:width"; }),
              HasSubstr("model.expert = 'dense:width'"));
  EXPECT_THAT(transformer_error_of([](Config& c) { c.data.window = 64; }), HasSubstr("data.window = 64"));
  EXPECT_THAT(transformer_error_of([](Config& c) { c.model.transformer.across_documents = false; }),
              HasSubstr("transformer.across_documents = no with data.source = text and data.pack = yes"));
  EXPECT_THAT(error_of([](Config& c) { c.moe.hidden = 64; }),
              HasSubstr("moe.shared_hidden, moe.head or moe.merge is set with model.family = tokens"));
}

TEST(ValidateFamily, a_transformer_says_by_its_router_what_scores_the_experts) {
  EXPECT_THAT(transformer_error_of([](Config& c) { c.model.gate = "cosine:experts"; }),
              HasSubstr("moe.router says what scores the experts"));
  EXPECT_THAT(error_of([](Config& c) { c.moe.router = moe::RouterOfRows::cosine; }),
              AllOf(HasSubstr("moe.router = cosine with model.family = tokens"),
                    HasSubstr("end model.gate with cosine:experts")));
  EXPECT_THAT(error_of([](Config& c) { c.moe.merge = moe::AroundSubTokens::no; }),
              HasSubstr("moe.head or moe.merge is set with model.family = tokens"));
  EXPECT_THAT(transformer_error_of([](Config& c) { c.moe.cosine_width = 4; }),
              HasSubstr("moe.router = cosine"));
  Config config = of_transformer();
  config.moe.router = moe::RouterOfRows::cosine;
  config.moe.cosine_width = 4;
  config.moe.head = moe::AroundSubTokens::yes;
  EXPECT_NO_THROW(validate(config));
}

TEST(ValidateFamily, heads_share_out_a_transformers_width_in_pairs) {
  for (const auto& [width, heads] : {std::pair{144, 5}, {6, 2}, {9, 3}}) {
    EXPECT_THAT(transformer_error_of([w = width, h = heads](Config& c) {
                  c.model.transformer.width = w;
                  c.model.transformer.heads = h;
                }),
                HasSubstr("give a width that is a multiple of " + std::to_string(2 * heads)));
  }
  EXPECT_THAT(transformer_error_of([](Config& c) { c.model.transformer.mixture_every = 7; }),
              HasSubstr("no layer would be a mixture"));
}

}  // namespace
}  // namespace switchyard::run
