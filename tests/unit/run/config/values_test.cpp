#include "run/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/config_error.hpp"

namespace switchyard::run {
namespace {

using test::config_error_of;
using testing::AllOf;
using testing::HasSubstr;

std::string error_of(std::string_view key, std::string_view text) {
  Config config;
  const std::string before = schema().to_ini(config);
  const std::string message = config_error_of([&] { schema().set(config, key, text, "run.ini:12"); });
  EXPECT_EQ(schema().to_ini(config), before) << "a rejected value changed the configuration";
  return message;
}

TEST(Set, reads_each_type) {
  Config config;
  schema().set(config, "moe.experts", "64", "test");
  schema().set(config, "run.threads", "3", "test");
  schema().set(config, "run.seed", "9223372036854775807", "test");
  schema().set(config, "optim.learning_rate", "2.5e-4", "test");
  schema().set(config, "data.mean", "-0.5", "test");
  schema().set(config, "data.dir", "/data/with = and spaces", "test");
  schema().set(config, "optim.schedule", "cosine", "test");
  EXPECT_EQ(config.moe.experts, 64);
  EXPECT_EQ(config.run.threads, 3);
  EXPECT_EQ(config.run.seed, 9223372036854775807u);
  EXPECT_EQ(config.optim.learning_rate, 2.5e-4);
  EXPECT_EQ(config.data.mean, std::vector{-0.5});
  EXPECT_EQ(config.data.dir, "/data/with = and spaces");
  EXPECT_EQ(config.optim.schedule, optim::ScheduleKind::cosine);
  schema().set(config, "data.dir", "", "test");
  EXPECT_EQ(config.data.dir, "");
}

TEST(Set, a_count_may_follow_from_other_things) {
  Config config;
  schema().set(config, "data.validation_samples", "300", "test");
  schema().set(config, "data.validation_samples", "auto", "test");
  EXPECT_EQ(config.data.validation_samples, config::automatic_count);
  EXPECT_EQ(schema().text(config, "data.validation_samples"), "auto");
  EXPECT_THAT(error_of("data.validation_samples", "-1"),
              HasSubstr("out of range (run.ini:12); allowed: auto, or whole number from 0"));
  EXPECT_THAT(error_of("train.batch_size", "auto"), HasSubstr("is not a whole number"));
}

TEST(Set, out_of_range_names_key_value_range_and_place) {
  EXPECT_EQ(error_of("run.threads", "1025"),
            "run.threads = '1025' is out of range (run.ini:12); allowed: whole number from 0 to 1024");
  EXPECT_THAT(error_of("optim.beta1", "1"), AllOf(HasSubstr("optim.beta1 = '1' is out of range (run.ini:12)"),
                                                  HasSubstr("from 0 to below 1")));
}

TEST(Set, ranges_end_where_they_say) {
  Config config;
  for (const auto& [key, text] : {std::pair{"run.threads", "0"},
                                  {"run.threads", "1024"},
                                  {"train.batch_size", "1"},
                                  {"train.batch_size", "1000000000"},
                                  {"optim.beta2", "0"},
                                  {"optim.beta2", "0.9999"},
                                  {"optim.learning_rate", "1.2e-38"},
                                  {"optim.clip_norm", "0"},
                                  {"run.wait_seconds", "1"},
                                  {"run.wait_seconds", "86400"},
                                  {"run.seed", "0"},
                                  {"random.samples", "4"}}) {
    EXPECT_NO_THROW(schema().set(config, key, text, "test")) << key << " = " << text;
  }
  for (const auto& [key, text] : {std::pair{"run.threads", "-1"},
                                  {"run.threads", "1025"},
                                  {"train.batch_size", "0"},
                                  {"train.batch_size", "1000000001"},
                                  {"optim.beta2", "-1e-9"},
                                  {"optim.beta2", "1"},
                                  {"optim.learning_rate", "0"},
                                  {"optim.clip_norm", "-1e-9"},
                                  {"run.wait_seconds", "0.99"},
                                  {"run.wait_seconds", "86400.5"},
                                  {"run.seed", "-1"},
                                  {"run.seed", "9223372036854775808"},
                                  {"random.samples", "3"},
                                  {"train.shards", "0"},
                                  {"checkpoint.keep_last", "0"},
                                  {"optim.learning_rate", "inf"},
                                  {"optim.learning_rate", "nan"},
                                  {"data.mean", "nan"},
                                  {"data.mean", "-inf"},
                                  {"data.mean", "1e999"}}) {
    EXPECT_THAT(error_of(key, text), HasSubstr("is out of range")) << key << " = " << text;
  }
}

TEST(Set, takes_the_whole_text_or_nothing) {
  for (const auto text : {"", " 5", "5 ", "5x", "5.0", "1e3", "+5", "0x10", "five", "1,000", "--5"}) {
    const std::string message = error_of("moe.experts", text);
    EXPECT_THAT(message, HasSubstr(*text == '\0' ? "is empty" : "is not a whole number")) << text;
    EXPECT_THAT(message, HasSubstr("allowed: whole number from 1 to 1000000")) << text;
  }
  for (const auto text : {" 1", "1 ", "1,5", "1e", "0.1f", "one"}) {
    EXPECT_THAT(error_of("optim.learning_rate", text), HasSubstr("is not a number")) << text;
    EXPECT_THAT(error_of("data.mean", text), HasSubstr("is not a number")) << text;
  }
  EXPECT_THAT(error_of("data.mean", ""), HasSubstr("data.mean = '' is empty (run.ini:12)"));
}

TEST(Set, reads_several_numbers) {
  Config config;
  schema().set(config, "data.mean", "0.5074 -0.4867 4411e-4", "test");
  EXPECT_EQ(config.data.mean, (std::vector{0.5074, -0.4867, 0.4411}));
  for (const auto text : {"1  2", "1 2 ", " 1 2", "1 two", "1, 2", "1\t2"})
    EXPECT_THAT(error_of("data.mean", text), HasSubstr("is not a number, or numbers with one space between"))
        << text;
  EXPECT_EQ(
      error_of("data.standard_deviation", "1 0"),
      "data.standard_deviation = '1 0' is out of range (run.ini:12); allowed: number above 0; or several, "
      "with a space between");
  EXPECT_THAT(error_of("data.mean", "1 nan"), HasSubstr("is out of range"));
}

TEST(Set, a_choice_lists_its_words) {
  EXPECT_EQ(error_of("run.device", "gpu"),
            "run.device = 'gpu' is none of its values (run.ini:12); allowed: auto, cpu or cuda");
  EXPECT_THAT(error_of("run.device", "CPU"), HasSubstr("is none of its values"));
  EXPECT_THAT(error_of("run.device", ""), HasSubstr("is empty"));
}

TEST(Set, refuses_text_that_a_file_cannot_carry) {
  EXPECT_THAT(error_of("data.dir", "a#b"), HasSubstr("'#', which starts a comment"));
  EXPECT_THAT(error_of("data.dir", "a\nb"), HasSubstr("control character"));
  EXPECT_THAT(error_of("data.dir", " a"), HasSubstr("space at an end"));
  EXPECT_THAT(error_of("data.dir", "a "), HasSubstr("space at an end"));
}

TEST(Set, an_unknown_key_names_the_nearest) {
  EXPECT_EQ(error_of("optim.learning_rat", "1"),
            "unknown key 'optim.learning_rat' (run.ini:12); did you mean 'optim.learning_rate'? "
            "'switchyard help configuration' lists all keys");
  EXPECT_THAT(error_of("moe.expersts", "1"), HasSubstr("'moe.experts'?"));
  EXPECT_THAT(error_of("learning_rate", "1"), HasSubstr("'optim.learning_rate'?"));
  EXPECT_THAT(error_of("train.learning_rate", "1"), HasSubstr("'optim.learning_rate'?"));
  EXPECT_THAT(error_of("top_k", "1"), HasSubstr("'moe.top_k'?"));
  EXPECT_THAT(error_of("", "1"), HasSubstr("unknown key ''"));
  EXPECT_THAT(error_of("optim.learning_rate ", "1"), HasSubstr("unknown key 'optim.learning_rate '"));
}

TEST(KnownKeys, are_in_the_order_of_the_structs) {
  const auto keys = schema().names();
  EXPECT_EQ(keys.front(), "run.dir");
  EXPECT_EQ(keys.back(), "output.trace_steps");
}

// What a reader of the text gets back: section lines and "key = value" lines.
Config read_back(std::string_view ini) {
  Config config;
  std::string section;
  while (!ini.empty()) {
    const std::string_view line = ini.substr(0, ini.find('\n'));
    ini.remove_prefix(line.size() + 1);
    if (line.starts_with('[')) {
      section = line.substr(1, line.size() - 2);
    } else if (!line.empty()) {
      const std::size_t middle = line.find(" = ");
      schema().set(config, section + "." + std::string(line.substr(0, middle)), line.substr(middle + 3),
                   "read back");
    }
  }
  return config;
}

TEST(ToIni, prints_every_section_and_key) {
  const std::string ini = schema().to_ini(Config{});
  EXPECT_TRUE(ini.starts_with("[run]\ndir = runs/latest\nseed = 1\ndevice = auto\n")) << ini;
  EXPECT_THAT(ini, HasSubstr("\n\n[optim]\nname = adam\nlearning_rate = 0.001\n"));
  EXPECT_THAT(ini, HasSubstr("epsilon = 1e-08\n"));
  for (const config::Key& key : schema().keys()) {
    if (!key.section->condition.empty()) continue;
    EXPECT_THAT(ini, HasSubstr("\n" + std::string(key.field->key) + " = ")) << key.name;
  }
  EXPECT_THAT(ini, testing::Not(HasSubstr("[random]"))) << "the source is idx";
}

TEST(ToIni, comes_back_bit_for_bit) {
  Config config;
  config.run.dir = "runs/a = b ü";
  config.run.seed = std::numeric_limits<std::int64_t>::max();
  config.run.device = DeviceChoice::cuda;
  config.run.resume = ResumeMode::automatic;
  config.data.source = data::Source::random;
  config.data.dir = "";
  config.data.mean = {-0.0, 1.0 / 3};
  config.data.standard_deviation = {std::numeric_limits<float>::min()};
  config.moe.placement = moe::PlacementRule::cyclic;
  config.optim.name = optim::OptimiserKind::sgd;
  config.optim.learning_rate = 0.1 + 0.2;  // 0.30000000000000004
  config.optim.beta1 = std::nextafter(1.0, 0.0);
  config.optim.weight_decay = 1.0 / 3;
  config.optim.clip_norm = std::numeric_limits<float>::max();
  config.optim.schedule = optim::ScheduleKind::cosine;
  config.train.precision = nn::Precision::bf16;
  const Config back = read_back(schema().to_ini(config));
  EXPECT_EQ(schema().to_ini(back), schema().to_ini(config));
  EXPECT_EQ(back.run.dir, config.run.dir);
  EXPECT_EQ(back.run.seed, config.run.seed);
  ASSERT_EQ(back.data.mean.size(), 2u);
  EXPECT_TRUE(std::signbit(back.data.mean[0]));
  EXPECT_EQ(back.data.mean[1], config.data.mean[1]);
  EXPECT_EQ(back.data.standard_deviation, config.data.standard_deviation);
  EXPECT_EQ(back.optim.learning_rate, config.optim.learning_rate);
  EXPECT_EQ(back.optim.beta1, config.optim.beta1);
  EXPECT_EQ(back.optim.weight_decay, config.optim.weight_decay);
  EXPECT_EQ(back.optim.clip_norm, config.optim.clip_norm);
  EXPECT_EQ(back.optim.name, optim::OptimiserKind::sgd);
  EXPECT_EQ(back.train.precision, nn::Precision::bf16);
}

}  // namespace
}  // namespace switchyard::run
