// What the kinds of gates need, and what has no meaning with them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "unit/run/config/valid_config.hpp"

namespace switchyard::run {
namespace {

using test::error_of;
using test::valid;
using testing::AllOf;
using testing::HasSubstr;

// What a valid configuration becomes with another gate.
std::function<void(Config&)> gate(std::string text) {
  return [text = std::move(text)](Config& c) {
    c.model.gate = text;
    if (text == "none") c.moe.experts = 1;
    if (text == "by_label:experts") c.moe.partition = "0 5 | 1 6 | 2 7 | 3 8 | 4 9";
  };
}

const char* const gates_without_scores_to_learn[] = {"most_certain:experts", "by_label:experts", "none"};

TEST(ValidateGate, accepts_every_kind) {
  for (const auto text : {"attention:experts", "dense:8 relu attention:experts", "most_certain:experts",
                          "by_label:experts", "none"}) {
    Config config = valid();
    gate(text)(config);
    EXPECT_NO_THROW(validate(config)) << text;
  }
  Config attentive = valid();
  gate("attention:experts")(attentive);
  attentive.moe.importance = attentive.moe.z_loss = attentive.moe.gate_entropy = 0.1;
  EXPECT_NO_THROW(validate(attentive));
  for (const auto text : {"attention:experts", "by_label:experts", "none"}) {
    for (const model::Loss loss :
         {model::Loss::stochastic, model::Loss::cross_entropy, model::Loss::double_softmax}) {
      Config config = valid();
      gate(text)(config);
      config.model.loss = loss;
      EXPECT_NO_THROW(validate(config)) << text;
    }
  }
  Config single = valid();
  gate("none")(single);
  single.moe.top_k = 1;
  EXPECT_NO_THROW(validate(single));
}

TEST(ValidateGate, cosines_have_keys_of_their_own) {
  Config config = valid();
  config.model.gate = "dense:9 relu cosine:experts";
  config.moe.top_k = 2;
  config.moe.cosine_width = 5;
  config.moe.cosine_temperature = 0.3;
  config.moe.bias_rate = 1e-3;
  EXPECT_NO_THROW(validate(config));
  EXPECT_THAT(error_of([](Config& c) { c.moe.cosine_width = 5; }),
              HasSubstr("moe.cosine_width or moe.cosine_temperature is set with model.gate = 'conv:8"));
  EXPECT_THAT(error_of([](Config& c) { c.moe.cosine_temperature = 5; }),
              HasSubstr("(only a gate that ends in cosine"));
}

TEST(ValidateGate, weights_are_of_scores_that_the_gate_makes) {
  const auto sum = [](Config& c) { c.model.loss = model::Loss::cross_entropy; };
  const auto error_with = [&](const auto& change, std::string_view of = "") {
    return error_of([&](Config& c) {
      sum(c);
      if (!of.empty()) gate(std::string(of))(c);
      change(c);
    });
  };
  const auto sigmoid = [](Config& c) { c.moe.scores = moe::GateScores::sigmoid; };
  for (const auto of : {"attention:experts", "by_label:experts", "none"}) {
    EXPECT_THAT(
        error_with(sigmoid, of),
        HasSubstr("moe.scores, moe.normalise or moe.scale is set with model.gate = '" + std::string(of)));
    EXPECT_THAT(error_with([](Config& c) { c.moe.scale = 2; }, of), HasSubstr("with model.gate"));
    EXPECT_THAT(error_with([](Config& c) { c.moe.normalise = moe::Normalise::all; }, of),
                HasSubstr("with model.gate"));
  }
  EXPECT_EQ(
      error_with([](Config& c) {
        c.moe.top_k = 1;
        c.moe.normalise = moe::Normalise::chosen;
      }),
      "moe.normalise = chosen with moe.top_k = 1 (the weight would be 1 whatever the gate says, which then "
      "does not learn); use all or auto, or a larger moe.top_k");
  EXPECT_THAT(error_with([&](Config& c) {
                sigmoid(c);
                c.moe.z_loss = 0.1;
              }),
              HasSubstr("moe.z_loss = 0.1 with moe.scores = sigmoid"));
  EXPECT_THAT(error_with([](Config& c) {
                c.moe.top_k = 2;
                c.moe.noise = moe::GateNoise::normal;
                c.moe.gate_value = moe::GateValue::noisy_logit;
                c.moe.scale = 2;
              }),
              HasSubstr("moe.scale is set with moe.gate_value = noisy_logit"));
  Config config = valid();
  sum(config);
  sigmoid(config);
  config.moe.scale = 2.5;
  config.moe.normalise = moe::Normalise::all;
  for (config.moe.top_k = 0; config.moe.top_k < 4; ++config.moe.top_k) EXPECT_NO_THROW(validate(config));
}

TEST(ValidateGate, a_bias_is_of_a_choice_without_noise) {
  const auto error_with = [](const auto& change) {
    return error_of([&](Config& c) {
      c.moe.top_k = 2;
      c.moe.bias_rate = 1e-3;
      change(c);
    });
  };
  Config config = valid();
  config.moe.top_k = 1;
  config.moe.bias_rate = 1e-3;
  EXPECT_NO_THROW(validate(config));
  for (const std::int64_t top_k : {0, 5}) {
    EXPECT_THAT(error_with([&](Config& c) { c.moe.top_k = top_k; }),
                HasSubstr("moe.bias_rate = 0.001 needs a gate that ends in dense:experts and moe.top_k below"));
  }
  EXPECT_THAT(error_with([](Config& c) { c.moe.noise = moe::GateNoise::uniform; }),
              HasSubstr("moe.bias_rate = 0.001 with moe.noise = uniform"));
  EXPECT_THAT(error_with([](Config& c) { c.moe.bias_rate = 1e-7; }), HasSubstr("give at least 1e-6"));
}

TEST(ValidateGate, a_capacity_is_of_chosen_experts_whose_outputs_are_added) {
  const auto error_with = [](const auto& change) {
    return error_of([&](Config& c) {
      c.model.loss = model::Loss::cross_entropy;
      c.moe.top_k = 2;
      c.moe.capacity = 1.25;
      change(c);
    });
  };
  Config config = valid();
  config.model.loss = model::Loss::cross_entropy;
  config.moe.top_k = 1;
  config.moe.capacity = 0.5;
  config.moe.drop = moe::DropBy::score;
  EXPECT_NO_THROW(validate(config));
  EXPECT_THAT(error_with([](Config& c) { c.moe.top_k = 0; }),
              AllOf(HasSubstr("moe.capacity = 1.25 needs a gate that ends in dense:experts"),
                    HasSubstr("moe.top_k = 0")));
  for (const auto text : {"attention:experts", "by_label:experts", "none"}) {
    EXPECT_THAT(error_with([&](Config& c) {
                  gate(text)(c);
                  c.moe.top_k = 0;
                }),
                HasSubstr("moe.capacity = 1.25 needs a gate"))
        << text;
  }
  for (const model::Loss loss : {model::Loss::likelihood, model::Loss::stochastic, model::Loss::gaussian}) {
    EXPECT_THAT(error_with([&](Config& c) { c.model.loss = loss; }),
                HasSubstr(fmt::format("moe.capacity = 1.25 with model.loss = {} (it needs the distribution",
                                      model::kind_of(loss).name)));
  }
  EXPECT_THAT(error_with([](Config& c) {
                c.moe.capacity = 0;
                c.moe.drop = moe::DropBy::score;
              }),
              HasSubstr("moe.drop = score with moe.capacity = 0"));
  EXPECT_THAT(error_of([](Config& c) { c.moe.capacity_when = moe::When::always; }),
              HasSubstr("moe.capacity_when = always with moe.capacity = 0"));
}

TEST(ValidateGate, groups_divide_the_experts_and_have_enough_of_them) {
  const auto error_with = [](const auto& change) {
    return error_of([&](Config& c) {
      c.moe.experts = 8;
      c.moe.groups = 4;
      c.moe.top_groups = 2;
      c.moe.top_k = 3;
      change(c);
    });
  };
  Config config = valid();
  config.moe.experts = 8;
  config.moe.groups = 4;
  config.moe.top_groups = 2;
  for (config.moe.top_k = 1; config.moe.top_k <= 4; ++config.moe.top_k) EXPECT_NO_THROW(validate(config));
  EXPECT_THAT(error_with([](Config& c) { c.moe.top_groups = 0; }), HasSubstr("set both, or neither"));
  EXPECT_THAT(error_with([](Config& c) { c.moe.groups = 0; }), HasSubstr("set both, or neither"));
  EXPECT_THAT(
      error_with([](Config& c) { c.moe.top_k = 0; }),
      HasSubstr("moe.groups = 4 needs a gate that ends in dense:experts and moe.top_k below moe.experts"));
  EXPECT_THAT(error_with([](Config& c) { c.moe.groups = 3; }),
              HasSubstr("moe.groups = 3 does not divide moe.experts = 8"));
  EXPECT_THAT(error_with([](Config& c) { c.moe.top_groups = 4; }), HasSubstr("(it limits nothing)"));
  EXPECT_THAT(error_with([](Config& c) { c.moe.top_k = 5; }),
              HasSubstr("moe.top_k = 5 with moe.top_groups = 2 of 2 experts each (they have too few)"));
  EXPECT_THAT(error_with([](Config& c) { c.moe.noise = moe::GateNoise::normal; }),
              HasSubstr("moe.groups = 4 with moe.noise = normal"));
}

TEST(ValidateGate, a_likelihood_has_weights_that_are_probabilities) {
  using enum moe::Normalise;
  using enum moe::GateScores;
  struct Case {
    moe::GateScores scores;
    moe::Normalise normalise;
    std::int64_t top_k;
    bool valid;
  };
  for (const Case& of :
       {Case{softmax, all, 0, true}, Case{softmax, all, 1, true}, Case{softmax, all, 2, false},
        Case{softmax, all, 5, true}, Case{softmax, chosen, 2, true}, Case{sigmoid, automatic, 2, true},
        Case{sigmoid, automatic, 0, true}, Case{sigmoid, automatic, 1, false}, Case{sigmoid, all, 0, false},
        Case{sigmoid, all, 2, false}}) {
    SCOPED_TRACE(testing::Message() << static_cast<int>(of.scores) << ' ' << static_cast<int>(of.normalise)
                                    << ' ' << of.top_k);
    Config config = valid();
    config.moe.scores = of.scores;
    config.moe.normalise = of.normalise;
    config.moe.top_k = of.top_k;
    if (of.valid) {
      EXPECT_NO_THROW(validate(config));
    } else {
      EXPECT_THAT(error_of([&](Config& c) { c.moe = config.moe; }),
                  HasSubstr("with model.loss = likelihood (a mixture's weights add up to "
                            "1, and these do not)"));
    }
  }
  EXPECT_THAT(error_of([](Config& c) { c.moe.scale = 2; }),
              HasSubstr("moe.scale = 2 with model.loss = likelihood"));
  EXPECT_THAT(error_of([](Config& c) {
                c.moe.scores = sigmoid;
                c.model.loss = model::Loss::predicted_loss;
                c.moe.top_k = 0;
              }),
              HasSubstr("moe.scores = sigmoid with model.loss = predicted_loss"));
}

TEST(ValidateGate, none_chooses_among_one) {
  EXPECT_EQ(
      error_of([](Config& c) { c.model.gate = "none"; }),
      "model.gate = none with moe.experts = 5 (nothing chooses among the experts); write its layers, such as: "
      "dense:32 relu dense:experts, or set moe.experts = 1");
}

TEST(ValidateGate, a_partition_and_the_gate_that_reads_it_come_together) {
  EXPECT_EQ(
      error_of([](Config& c) { c.model.gate = "by_label:experts"; }),
      "moe.partition = '' with model.gate = 'by_label:experts' (the partition is what a gate by_label:experts "
      "reads); set both, or neither");
  EXPECT_THAT(
      error_of([](Config& c) { c.moe.partition = "0 | 1"; }),
      AllOf(HasSubstr("moe.partition = '0 | 1' with model.gate = 'conv:8"), HasSubstr("; set both, or")));
  EXPECT_THAT(error_of([](Config& c) {
                gate("none")(c);
                c.moe.partition = "0";
              }),
              HasSubstr("moe.partition = '0' with model.gate = 'none'"));
}

TEST(ValidateGate, a_partition_is_read) {
  EXPECT_THAT(error_of([](Config& c) {
                gate("by_label:experts")(c);
                c.moe.experts = 4;
              }),
              HasSubstr("has 5 groups for moe.experts = 4"));
}

TEST(ValidateGate, a_regulariser_needs_scores_that_learn) {
  const std::pair<const char*, double moe::Options::*> weights[] = {
      {"importance", &moe::Options::importance},
      {"balance", &moe::Options::balance},
      {"load", &moe::Options::load},
      {"z_loss", &moe::Options::z_loss},
      {"gate_entropy", &moe::Options::gate_entropy},
      {"similarity", &moe::Options::similarity},
      {"similarity_same", &moe::Options::similarity_same},
      {"similarity_different", &moe::Options::similarity_different}};
  for (const std::string text : gates_without_scores_to_learn) {
    for (const auto& [key, weight] : weights) {
      EXPECT_EQ(error_of([&](Config& c) {
                  gate(text)(c);
                  c.moe.*weight = 0.1;
                }),
                "moe." + std::string(key) + " = 0.1 with model.gate = '" + text +
                    "' (it has no scores that could learn); set it to 0");
    }
  }
}

TEST(ValidateGate, a_gate_without_a_network_has_nothing_to_set) {
  const std::function<void(Config&)> faults[] = {
      [](Config& c) { c.optim.gate_learning_rate = 0.1; },
      [](Config& c) { c.optim.gate_name = optim::OptimiserKind::sgd; },
      [](Config& c) { c.model.gate_init_scale = 2; }};
  for (const std::string text : gates_without_scores_to_learn) {
    for (const auto& fault : faults) {
      EXPECT_EQ(
          error_of([&](Config& c) {
            gate(text)(c);
            fault(c);
          }),
          "optim.gate_name, optim.gate_learning_rate or model.gate_init_scale is set with model.gate = '" +
              text + "' (it has no weights); remove them");
    }
    EXPECT_THAT(error_of([&](Config& c) {
                  gate(text)(c);
                  c.init.from = "run";
                  c.init.parts = "gate";
                }),
                HasSubstr("init.parts = gate with model.gate = '" + text));
    EXPECT_THAT(error_of([&](Config& c) {
                  gate(text)(c);
                  c.train.freeze = "experts";
                }),
                HasSubstr("train.freeze = experts with model.gate = '" + text));
  }
}

TEST(ValidateGate, where_every_expert_sees_every_sample_no_load_is_uneven) {
  for (double moe::Options::*weight : {&moe::Options::balance, &moe::Options::load}) {
    EXPECT_THAT(
        error_of([&](Config& c) {
          gate("attention:experts")(c);
          c.moe.*weight = 0.1;
        }),
        HasSubstr("where every expert must see every sample (the load is even whatever the gate does); use "
                  "moe.importance"));
  }
}

TEST(ValidateGate, regularisers_are_advised_where_they_may_be_set) {
  Config config = valid();
  EXPECT_TRUE(takes_regularisers(config));
  config.train.freeze = "gate";
  EXPECT_FALSE(takes_regularisers(config));
  config.model.gate = "attention:experts";
  EXPECT_TRUE(takes_regularisers(config)) << "an attentive gate's scores are also the experts'";
  for (const std::string text : gates_without_scores_to_learn) {
    config = valid();
    gate(text)(config);
    EXPECT_FALSE(takes_regularisers(config)) << text;
  }
}

TEST(ValidateGate, a_choice_before_an_expert_ran_needs_scores_of_its_own) {
  for (const std::string text : {"attention:experts", "most_certain:experts", "by_label:experts"}) {
    EXPECT_EQ(
        error_of([&](Config& c) {
          gate(text)(c);
          c.moe.top_k = 2;
        }),
        "moe.top_k = 2 or moe.noise is set with model.gate = '" + text +
            "' (only scores of the gate's own can choose before an expert ran; train densely, then distil: "
            "init.from); set moe.top_k = 0 and moe.noise = none");
    EXPECT_THAT(error_of([&](Config& c) {
                  gate(text)(c);
                  c.moe.noise = moe::GateNoise::uniform;
                }),
                HasSubstr("moe.top_k = 0 or moe.noise is set with model.gate = '" + text));
  }
}

TEST(ValidateGate, the_most_certain_speaks_for_a_likelihood) {
  for (const model::Loss loss : {model::Loss::stochastic, model::Loss::predicted_loss,
                                 model::Loss::cross_entropy, model::Loss::double_softmax}) {
    EXPECT_EQ(
        error_of([&](Config& c) {
          gate("most_certain:experts")(c);
          c.model.loss = loss;
        }),
        "model.gate = most_certain:experts with another loss than model.loss = likelihood (certainty is of "
        "distributions, and one expert answers); set model.loss = likelihood");
  }
}

TEST(ValidateGate, predicted_losses_are_those_of_every_expert) {
  const auto predicted = [](Config& c) { c.model.loss = model::Loss::predicted_loss; };
  Config config = valid();
  predicted(config);
  EXPECT_NO_THROW(validate(config));
  const std::function<void(Config&)> faults[] = {gate("attention:experts"), gate("by_label:experts"),
                                                 gate("none"), [](Config& c) { c.moe.top_k = 2; },
                                                 [](Config& c) {
                                                   c.moe.noise = moe::GateNoise::uniform;
                                                   c.moe.gate_value = moe::GateValue::noisy_softmax;
                                                 }};
  for (const auto& fault : faults) {
    EXPECT_EQ(error_of([&](Config& c) {
                predicted(c);
                fault(c);
              }),
              "model.loss = predicted_loss needs a gate that ends in dense:experts, moe.top_k = 0 and "
              "moe.gate_value = softmax (the gate predicts every expert's loss)");
  }
}

TEST(ValidateGate, a_temperature_divides_scores_of_a_likelihood) {
  Config config = valid();
  config.moe.expert_temperature = 2.5;
  EXPECT_NO_THROW(validate(config));
  config.moe.top_k = 2;
  EXPECT_NO_THROW(validate(config));
  const std::function<void(Config&)> faults[] = {gate("attention:experts"),
                                                 gate("most_certain:experts"),
                                                 gate("by_label:experts"),
                                                 gate("none"),
                                                 [](Config& c) { c.moe.top_k = 1; },
                                                 [](Config& c) { c.model.loss = model::Loss::stochastic; },
                                                 [](Config& c) { c.model.loss = model::Loss::cross_entropy; }};
  for (const auto& fault : faults) {
    EXPECT_EQ(error_of([&](Config& c) {
                fault(c);
                c.moe.expert_temperature = 2.5;
              }),
              "moe.expert_temperature = 2.5 without model.loss = likelihood, a gate that ends in dense:experts "
              "and several experts a sample (it divides their scores where the experts learn from them); set "
              "it to 1");
  }
  for (const double bad : {0.0, -1.0}) {
    EXPECT_THAT(error_of([&](Config& c) { c.moe.expert_temperature = bad; }),
                HasSubstr("moe.expert_temperature = '"));
  }
}

TEST(ValidateGate, competing_experts_take_no_scores_for_weights) {
  EXPECT_THAT(error_of([](Config& c) {
                c.model.loss = model::Loss::stochastic;
                c.moe.top_k = 1;
                c.moe.noise = moe::GateNoise::uniform;
                c.moe.gate_value = moe::GateValue::noisy_logit;
              }),
              HasSubstr("moe.gate_value = noisy_logit with model.loss = stochastic"));
}

}  // namespace
}  // namespace switchyard::run
