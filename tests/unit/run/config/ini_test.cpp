#include "config/ini.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "run/config.hpp"
#include "run/validate.hpp"
#include "support/config_error.hpp"

namespace switchyard::run {
namespace {

using test::config_error_of;
using testing::AllOf;
using testing::HasSubstr;

std::string error_of(std::string_view text) {
  return config_error_of([&] { config::parse_ini(schema(), text, "run.ini"); });
}

TEST(Ini, sets_what_it_names_and_leaves_the_rest) {
  Config base;
  base.run.seed = 7;
  const Config config = config::parse_ini(
      schema(), "[moe]\nexperts = 64\n[optim]\nlearning_rate=0.5\n[moe]\ntop_k=1", "run.ini", base);
  EXPECT_EQ(config.moe.experts, 64);
  EXPECT_EQ(config.moe.top_k, 1);
  EXPECT_EQ(config.optim.learning_rate, 0.5);
  EXPECT_EQ(config.run.seed, 7u);
  EXPECT_EQ(config.train.batch_size, Config{}.train.batch_size);
}

TEST(Ini, takes_comments_spaces_and_windows_lines) {
  const Config config = config::parse_ini(
      schema(),
      "\xef\xbb\xbf# a comment\r\n\r\n  [data]  # of the samples\r\n\tdir =  /a = b  # where\r\n"
      "#mean = 9\r\n   \t\r\nmean=0.25\r\nstandard_deviation   =   2\r\n",
      "run.ini");
  EXPECT_EQ(config.data.dir, "/a = b");
  EXPECT_EQ(config.data.mean, std::vector{0.25});
  EXPECT_EQ(config.data.standard_deviation, std::vector{2.0});
}

TEST(Ini, takes_full_names_outside_of_a_section) {
  EXPECT_EQ(config::parse_ini(schema(), "moe.experts = 3", "run.ini").moe.experts, 3);
  EXPECT_THAT(error_of("experts = 3"),
              HasSubstr("unknown key 'experts' (run.ini:1); did you mean 'moe.experts'?"));
}

TEST(Ini, an_empty_value_is_an_empty_text_and_no_number) {
  Config base;
  base.data.dir = "somewhere";
  EXPECT_EQ(config::parse_ini(schema(), "[data]\ndir =\n", "run.ini", base).data.dir, "");
  EXPECT_THAT(error_of("[data]\nmean = # forgotten\n"), HasSubstr("data.mean = '' is empty (run.ini:2)"));
}

TEST(Ini, hands_over_sections_and_settings_whatever_their_names) {
  std::vector<std::string> seen;
  config::for_each_setting(
      "a.b = 1\n[arm.x]\n[quick]\ntrain.epochs = 2 | 3 # why\n", "s.ini", [&](const config::Setting& setting) {
        seen.push_back(setting.where + " " + setting.section + " " + setting.key + " " + setting.value);
      });
  EXPECT_THAT(seen, testing::ElementsAre("s.ini:1  a.b 1", "s.ini:2 arm.x  ", "s.ini:3 quick  ",
                                         "s.ini:4 quick train.epochs 2 | 3"));
}

TEST(Ini, refuses_a_key_twice_in_any_section) {
  const auto ignore = [](const config::Setting&) {};
  EXPECT_THAT(config_error_of([&] {
                config::for_each_setting("[arm.x]\nk = 1\n[arm.y]\nk = 1\n[arm.x]\nk = 2\n", "s.ini", ignore);
              }),
              HasSubstr("arm.x.k is set twice (s.ini:6 and line 2"));
}

TEST(Ini, says_the_line_of_a_mistake) {
  EXPECT_THAT(error_of("# one\n[moe]\n\nexpert = 5\n"),
              HasSubstr("unknown key 'moe.expert' (run.ini:4); did you mean 'moe.experts'?"));
  EXPECT_THAT(error_of("[moe]\r\nexperts = 5\r\ntop_k = many\r\n"),
              HasSubstr("moe.top_k = 'many' is not a whole number (run.ini:3)"));
  EXPECT_THAT(error_of("[moe]\nmoe.experts = 5\n"), HasSubstr("unknown key 'moe.moe.experts' (run.ini:2)"));
}

TEST(Ini, an_unknown_section_names_the_nearest) {
  EXPECT_EQ(
      error_of("\n[optimiser]\n"),
      "unknown section 'optimiser' (run.ini:2); did you mean 'optim'? sections are run, comm, data, cifar, images, csv, "
      "random, clusters, model, tokens, transformer, init, moe, optim, train, checkpoint, metrics or output");
  EXPECT_THAT(error_of("[]"), HasSubstr("unknown section ''"));
  EXPECT_THAT(error_of("[Moe]"), HasSubstr("did you mean 'moe'?"));
  EXPECT_THAT(error_of("["), HasSubstr("section line '[' has no ']' (run.ini:1)"));
  EXPECT_THAT(error_of("[moe\nexperts = 1"), HasSubstr("section line '[moe' has no ']'"));
}

TEST(Ini, a_repeated_key_names_both_lines) {
  EXPECT_EQ(error_of("[moe]\nexperts = 5\n[run]\n[moe]\nexperts = 5\n"),
            "moe.experts is set twice (run.ini:5 and line 2 of the same file); keep one of the two lines");
  EXPECT_THAT(error_of("moe.experts = 5\n[moe]\nexperts = 6"), HasSubstr("set twice (run.ini:3 and line 1"));
}

TEST(Ini, a_line_without_an_equals_sign_is_an_error) {
  EXPECT_EQ(
      error_of("[moe]\nexperts 5\n"),
      "line 'experts 5' is neither a section nor a setting (run.ini:2); write key = value, or start it with # "
      "for a comment");
  EXPECT_THAT(error_of("; comment of another dialect"),
              HasSubstr("neither a section nor a setting (run.ini:1)"));
  EXPECT_THAT(error_of("]"), HasSubstr("neither a section nor a setting"));
}

TEST(Ini, reads_back_what_to_ini_prints) {
  Config config;
  config.data.dir = "a = [b]";
  config.model.gate = "dense:4 relu dense:experts";
  config.optim.learning_rate = 0.1 + 0.2;
  config.optim.epsilon = 1.0 / 3;
  config.run.resume = ResumeMode::automatic;
  const Config back = config::parse_ini(schema(), schema().to_ini(config), "stored");
  EXPECT_EQ(schema().to_ini(back), schema().to_ini(config));
  EXPECT_EQ(back.data.dir, config.data.dir);
  EXPECT_EQ(back.optim.learning_rate, config.optim.learning_rate);
  EXPECT_EQ(back.optim.epsilon, config.optim.epsilon);
}

// Whatever the bytes are: a Config, or a ConfigError. Anything else leaves the test as a failure or a crash.
void expect_no_crash(const std::string& bytes) {
  try {
    validate(config::parse_ini(schema(), bytes, "random"));
  } catch (const ConfigError& error) {
    EXPECT_NE(*error.what(), '\0');
  }
}

TEST(Ini, random_bytes_are_an_error_and_no_crash) {
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i) {
    std::string bytes(random() % 200, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    expect_no_crash(bytes);
  }
}

TEST(Ini, random_mutations_of_a_real_file_are_no_crash) {
  std::mt19937 random(2);
  const std::string original = schema().to_ini(Config{});
  constexpr std::string_view favourites = "[]=#\n\r .-+e09\0\xff";
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = original;
    for (unsigned change = 0; change <= random() % 4; ++change) {
      const std::size_t place = random() % bytes.size();
      switch (random() % 3) {
        case 0:
          bytes[place] = favourites[random() % favourites.size()];
          break;
        case 1:
          bytes.erase(place, 1 + random() % 20);
          break;
        default:
          bytes.insert(place, bytes.substr(random() % bytes.size(), random() % 40));
          break;
      }
      if (bytes.empty()) break;
    }
    expect_no_crash(bytes);
  }
}

}  // namespace
}  // namespace switchyard::run
