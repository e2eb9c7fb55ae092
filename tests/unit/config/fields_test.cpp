#include "config/fields.hpp"

#include <gtest/gtest.h>

#include <set>

#include "config/parse.hpp"

namespace switchyard::config {
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
  for (const Section& section : sections()) {
    if (section.name == name) return section.fields.size();
  }
  return 0;
}

// A member without a row could not be set by anyone, and nothing would say so.
TEST(Fields, have_a_row_for_every_member) {
  EXPECT_EQ(sections().size(), member_count<Config>());
  EXPECT_EQ(rows_of("run"), member_count<config::Run>());
  EXPECT_EQ(rows_of("data"), member_count<Data>());
  EXPECT_EQ(rows_of("model"), member_count<Model>());
  EXPECT_EQ(rows_of("moe"), member_count<Moe>());
  EXPECT_EQ(rows_of("optim"), member_count<Optim>());
  EXPECT_EQ(rows_of("train"), member_count<Train>());
  EXPECT_EQ(rows_of("checkpoint"), member_count<Checkpoint>());
}

TEST(Fields, have_names_of_their_own_and_a_line_of_help) {
  std::set<std::string> names;
  for (const Section& section : sections()) {
    for (const Field& field : section.fields) {
      EXPECT_EQ(field.section, section.name);
      EXPECT_TRUE(names.insert(field.name()).second) << field.name();
      EXPECT_FALSE(field.help.empty()) << field.name();
      EXPECT_EQ(field.help.find('\n'), field.help.npos) << field.name() << " would break its table";
    }
  }
}

// Two rows with one pointer to member would pass every other test.
TEST(Fields, each_row_changes_its_own_member) {
  for (const std::string& changed : known_keys()) {
    Config config;
    const Field& field = find_field(changed, "test");
    if (const auto* text = std::get_if<Text>(&field.type)) {
      text->set(config, "changed");
    } else if (const auto* number = std::get_if<Number>(&field.type)) {
      number->set(config, 0.625);
    } else if (const auto* numbers = std::get_if<Numbers>(&field.type)) {
      numbers->set(config, {0.625, 2});
    } else if (const auto* integer = std::get_if<Integer>(&field.type)) {
      integer->set(config, 77);
    } else {
      std::get<Choice>(field.type).set(config, 1);
    }
    for (const std::string& key : known_keys()) {
      const Field& other = find_field(key, "test");
      EXPECT_EQ(value_text(config, other) != value_text(Config{}, other), key == changed)
          << changed << ", " << key;
    }
  }
}

TEST(Fields, enumerations_use_the_documented_words) {
  const auto words = [](std::string_view key) {
    std::string all;
    for (const auto name : std::get<Choice>(find_field(key, "test").type).names) all += std::string(name) + ' ';
    return all;
  };
  EXPECT_EQ(words("run.device"), "auto cpu cuda ");
  EXPECT_EQ(words("run.resume"), "never auto ");
  EXPECT_EQ(words("data.source"), "idx cifar random clusters ");
  EXPECT_EQ(words("data.labels"), "fine coarse ");
  EXPECT_EQ(words("data.augment"), "none flip_crop ");
  EXPECT_EQ(words("moe.placement"), "block cyclic ");
  EXPECT_EQ(words("optim.name"), "adam sgd normalised_sgd ");
  EXPECT_EQ(words("optim.schedule"), "constant cosine ");
  EXPECT_EQ(words("train.precision"), "float32 bf16 ");

  Config config;
  set(config, "run.device", "cuda", "test");
  set(config, "train.precision", "bf16", "test");
  EXPECT_EQ(config.run.device, DeviceChoice::cuda);
  EXPECT_EQ(config.train.precision, Precision::bf16);
}

}  // namespace
}  // namespace switchyard::config
