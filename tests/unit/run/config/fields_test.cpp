#include "run/config.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace switchyard::run {
namespace {

// The number of members of an aggregate: how many values of any type it can be made from.
struct Anything {
  template <class T>
  operator T() const;
};
template <class Struct, class... Values>
consteval std::size_t member_count() {
  if constexpr (requires { Struct{Values{}..., Anything{}}; }) {
    return member_count<Struct, Values..., Anything>();
  } else {
    return sizeof...(Values);
  }
}

std::size_t rows_of(std::string_view name) {
  return static_cast<std::size_t>(
      std::ranges::count(schema().keys(), name, [](const config::Key& key) { return key.section->name; }));
}

// A member without a row could not be set by anyone, and nothing would say so.
TEST(Fields, have_a_row_for_every_member) {
  constexpr std::size_t sources_with_keys = 5;
  constexpr std::size_t families_with_keys = 2;
  EXPECT_EQ(schema().sections().size(), member_count<Config>() + sources_with_keys + families_with_keys);
  EXPECT_EQ(rows_of("run"), member_count<Options>());
  EXPECT_EQ(rows_of("data"), member_count<data::Options>() - sources_with_keys);
  EXPECT_EQ(rows_of("cifar"), member_count<data::CifarOptions>());
  EXPECT_EQ(rows_of("images"), member_count<data::ImageOptions>());
  EXPECT_EQ(rows_of("csv"), member_count<data::CsvOptions>());
  EXPECT_EQ(rows_of("random"), member_count<data::RandomOptions>());
  EXPECT_EQ(rows_of("clusters"), member_count<data::ClusterOptions>());
  EXPECT_EQ(rows_of("model"), member_count<model::Options>() - families_with_keys);
  EXPECT_EQ(rows_of("tokens"), member_count<model::TokensOptions>());
  EXPECT_EQ(rows_of("transformer"), member_count<model::TransformerOptions>());
  EXPECT_EQ(rows_of("init"), member_count<InitOptions>());
  // The weights of the regularisers are a base, which counts as one.
  EXPECT_EQ(rows_of("moe"), member_count<moe::Options>() - 1 + member_count<moe::RegulariserWeights>());
  EXPECT_EQ(rows_of("optim"), member_count<optim::Options>());
  EXPECT_EQ(rows_of("train"), member_count<train::Options>());
  EXPECT_EQ(rows_of("checkpoint"), member_count<CheckpointOptions>());
}

TEST(Fields, have_names_of_their_own_and_a_line_of_help) {
  std::set<std::string> names;
  for (const config::Key& key : schema().keys()) {
    EXPECT_TRUE(names.insert(key.name).second) << key.name;
    EXPECT_FALSE(key.field->help.empty()) << key.name;
    EXPECT_EQ(key.field->help.find('\n'), key.field->help.npos) << key.name << " would break its table";
  }
}

// Two rows with one pointer to member would pass every other test.
TEST(Fields, each_row_changes_its_own_member) {
  for (const config::Key& changed : schema().keys()) {
    Config config;
    void* const object = changed.section->object(&config);
    if (const auto* text = std::get_if<config::Text>(&changed.field->type)) {
      text->set(object, "changed");
    } else if (const auto* number = std::get_if<config::Number>(&changed.field->type)) {
      number->set(object, 0.625);
    } else if (const auto* numbers = std::get_if<config::Numbers>(&changed.field->type)) {
      numbers->set(object, {0.625, 2});
    } else if (const auto* integer = std::get_if<config::Integer>(&changed.field->type)) {
      integer->set(object, 77);
    } else if (const auto* words = std::get_if<config::Words>(&changed.field->type)) {
      words->set(object, {"changed"});
    } else {
      const auto& choice = std::get<config::Choice>(changed.field->type);
      choice.set(object, choice.get(object) == 1 ? 0 : 1);
    }
    const std::vector<Difference> found = differences(Config{}, config);
    ASSERT_EQ(found.size(), 1U) << changed.name;
    EXPECT_EQ(found[0].key, &changed) << found[0].key->name << " instead of " << changed.name;
  }
}

TEST(Fields, enumerations_use_the_documented_words) {
  const auto words = [](std::string_view key) {
    std::string all;
    for (const auto name : std::get<config::Choice>(schema().find(key, "test").field->type).names)
      all += std::string(name) + ' ';
    return all;
  };
  EXPECT_EQ(words("run.device"), "auto cpu cuda ");
  EXPECT_EQ(words("run.resume"), "never auto ");
  EXPECT_EQ(words("data.source"), "idx cifar images hdf5 npy csv random clusters text tokens ");
  EXPECT_EQ(words("cifar.labels"), "fine coarse ");
  EXPECT_EQ(words("images.channels"), "auto 1 3 ");
  EXPECT_EQ(words("moe.placement"), "block cyclic ");
  EXPECT_EQ(words("optim.name"), "adam adamw sgd normalised_sgd ");
  EXPECT_EQ(words("optim.schedule"), "constant cosine linear warmup_stable_decay ");
  EXPECT_EQ(words("train.precision"), "float32 tf32 bf16 ");

  Config config;
  schema().set(config, "run.device", "cuda", "test");
  schema().set(config, "train.precision", "bf16", "test");
  EXPECT_EQ(config.run.device, DeviceChoice::cuda);
  EXPECT_EQ(config.train.precision, nn::Precision::bf16);
}

}  // namespace
}  // namespace switchyard::run
