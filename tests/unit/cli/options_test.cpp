#include "cli/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "run/config.hpp"
#include "support/config_error.hpp"
#include "support/temporary_file.hpp"

namespace switchyard::cli {
namespace {

using run::Config;
using test::config_error_of;
using test::TemporaryFile;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using Words = std::vector<std::string>;

constexpr std::string_view small_run =
    "[data]\nsource = random\n[model]\ngate = dense:experts\nexpert = dense:classes\n[train]\nbatch_size = "
    "64\n";

Config run_with(Words overrides) {
  const TemporaryFile file(small_run);
  overrides.insert(overrides.begin(), file.path());
  return parse_run_options(overrides);
}

std::string run_error(const Words& overrides) {
  return config_error_of([&] { run_with(overrides); });
}

TEST(Options, default_then_file_then_command_line) {
  const Config plain = run_with({});
  EXPECT_EQ(plain.train.epochs, Config{}.train.epochs);
  EXPECT_EQ(plain.train.batch_size, 64);
  const Config changed = run_with({"--train.batch_size=32", "--moe.top_k", "2"});
  EXPECT_EQ(changed.train.batch_size, 32);
  EXPECT_EQ(changed.moe.top_k, 2);
}

TEST(Options, the_file_may_stand_anywhere) {
  const TemporaryFile file(small_run);
  EXPECT_EQ(parse_run_options(Words{"--moe.experts=3", file.path(), "--run.seed", "9"}).moe.experts, 3);
  EXPECT_EQ(parse_run_options(Words{"--run.seed", "9", "--", file.path()}).run.seed, 9u);
}

TEST(Options, values_may_hold_equals_signs_spaces_and_signs) {
  EXPECT_EQ(run_with({"--data.dir=/a=b c"}).data.dir, "/a=b c");
  EXPECT_EQ(run_with({"--data.mean=-0.5"}).data.mean, std::vector{-0.5});
  EXPECT_EQ(run_with({"--data.mean", "-0.5"}).data.mean, std::vector{-0.5});
  EXPECT_EQ(run_with({"--model.expert=dense:8 relu dense:classes"}).model.expert, "dense:8 relu dense:classes");
}

TEST(Options, an_unknown_key_names_the_nearest) {
  for (const Words& words :
       {Words{"--moe.expert=5"}, Words{"--moe.expert", "5"}, Words{"--moe.expert"}, Words{"--moe.expert="}}) {
    EXPECT_THAT(run_error(words),
                HasSubstr("unknown key 'moe.expert' (command line); did you mean 'moe.experts'?"))
        << words[0];
  }
  EXPECT_THAT(run_error({"--learning_rate=1"}), HasSubstr("did you mean 'optim.learning_rate'?"));
  EXPECT_THAT(run_error({"--=1"}), HasSubstr("command line"));
}

TEST(Options, keys_are_not_guessed_from_their_start) {
  EXPECT_THAT(run_error({"--train.batch=5"}), HasSubstr("unknown key 'train.batch'"));
}

TEST(Options, a_repeated_key_is_an_error) {
  EXPECT_EQ(run_error({"--run.seed=1", "--moe.experts=2", "--run.seed", "2"}),
            "--run.seed is given twice (command line, '1' and '2'); keep one of them");
}

TEST(Options, a_key_without_a_value_is_an_error) {
  for (const Words& words : {Words{"--data.dir"}, Words{"--data.dir="}, Words{"--data.dir", "--run.seed=3"},
                             Words{"--data.dir", "--run.seed"}}) {
    EXPECT_THAT(run_error(words), HasSubstr("--data.dir has no value (command line); write --data.dir=VALUE"))
        << words.size();
  }
}

TEST(Options, a_short_option_is_no_option) {
  EXPECT_THAT(run_error({"-s"}),
              HasSubstr("'-s' is no option (command line); options are written --section.key=value"));
  EXPECT_THAT(run_error({"-run.seed=3"}), HasSubstr("'-run.seed=3' is no option"));
}

TEST(Options, a_bad_value_says_that_it_came_from_the_command_line) {
  EXPECT_THAT(run_error({"--train.batch_size=0"}),
              HasSubstr("train.batch_size = '0' is out of range (command line); allowed: whole number from 1"));
  EXPECT_THAT(run_error({"--run.device=gpu"}), HasSubstr("allowed: auto, cpu or cuda"));
}

TEST(Options, rules_hold_for_the_file_and_the_command_line_together) {
  EXPECT_THAT(run_error({"--moe.top_k=6"}), HasSubstr("more top-k than experts"));
  EXPECT_NO_THROW(run_with({"--moe.top_k=6", "--moe.experts=6"}));
}

// Arguments that no one would write: a CommandLine or a ConfigError, no other exception, no crash.
TEST(Options, random_arguments_are_no_crash) {
  std::mt19937 random(1);
  constexpr std::string_view bytes = "--==..  aerundsti0159\"\n\xff";
  const auto keys = run::schema().names();
  for (int i = 0; i < 500; ++i) {
    Words words(random() % 5);
    for (std::string& word : words) {
      if (random() % 2 == 0) word = "--" + keys[random() % keys.size()];
      for (unsigned length = random() % 8; length > 0; --length) word += bytes[random() % bytes.size()];
    }
    try {
      parse_command_line(words);
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr("command line"));
    }
  }
}

TEST(Options, one_file_is_needed) {
  EXPECT_THAT(config_error_of([] { parse_run_options(Words{}); }), HasSubstr("no configuration file is given"));
  EXPECT_THAT(config_error_of([] {
                parse_run_options(Words{"a.ini", "b.ini"});
              }),
              HasSubstr("one configuration file is expected, but 'a.ini' and 'b.ini' are given"));
  EXPECT_THAT(config_error_of([] { parse_run_options(Words{"absent.ini"}); }),
              AllOf(HasSubstr("'absent.ini' (No such file or directory)"), HasSubstr("; give the path")));
}

TEST(Options, mistakes_in_the_file_name_its_line) {
  const TemporaryFile file("[train]\nbatchsize = 5\n");
  EXPECT_THAT(
      config_error_of([&] { parse_run_options(Words{file.path()}); }),
      HasSubstr("unknown key 'train.batchsize' (" + file.path() + ":2); did you mean 'train.batch_size'?"));
}

TEST(ReadIniFile, gives_the_bytes) {
  const TemporaryFile file("[moe]\r\nexperts = 3");
  EXPECT_EQ(read_ini_file(file.path()), "[moe]\r\nexperts = 3");
  const TemporaryFile empty("");
  EXPECT_EQ(read_ini_file(empty.path()), "");
}

TEST(ReadIniFile, a_missing_file_names_the_path_and_what_to_try) {
  EXPECT_EQ(
      config_error_of([] { read_ini_file("configs/absent.ini"); }),
      "cannot read the configuration file 'configs/absent.ini' (No such file or directory); give the path of a "
      "configuration file, such as configs/fashion_mnist/original.ini");
  EXPECT_THAT(config_error_of([] { read_ini_file("/"); }), HasSubstr("'/' (it is a folder)"));
  EXPECT_THAT(config_error_of([] { read_ini_file(""); }), HasSubstr("cannot read the configuration file ''"));
}

TEST(ReadIniFile, refuses_what_cannot_be_a_configuration) {
  const TemporaryFile file(std::string((1 << 20) + 1, '#'));
  EXPECT_THAT(config_error_of([&] { read_ini_file(file.path()); }),
              AllOf(HasSubstr("is no configuration file"), HasSubstr("1048576 bytes")));
}

TEST(Help, is_asked_for_before_the_positional_part) {
  EXPECT_TRUE(asks_for_help(Words{"a.ini", "--help"}));
  EXPECT_TRUE(asks_for_help(Words{"-h"}));
  EXPECT_FALSE(asks_for_help(Words{"a.ini", "--", "--help"}));
  EXPECT_FALSE(asks_for_help(Words{}));
}

Config stored_run() { return run_with({}); }

TEST(Resume, takes_the_allowed_keys_and_keeps_the_rest) {
  const CommandLine line = parse_command_line(
      Words{"runs/a", "--run.threads=2", "--run.max_minutes=30", "--run.device=cpu", "--run.wait_seconds=5",
            "--train.max_steps=7", "--train.log_every_steps=1", "--checkpoint.every_steps=3",
            "--checkpoint.keep_last=4", "--data.dir=/elsewhere"});
  EXPECT_THAT(line.positionals, ElementsAre("runs/a"));
  const Config run = parse_overrides(stored_run(), line, resume_rule);
  EXPECT_EQ(run.run.threads, 2);
  EXPECT_EQ(run.run.max_minutes, 30);
  EXPECT_EQ(run.run.device, run::DeviceChoice::cpu);
  EXPECT_EQ(run.run.wait_seconds, 5);
  EXPECT_EQ(run.train.max_steps, 7);
  EXPECT_EQ(run.train.log_every_steps, 1);
  EXPECT_EQ(run.checkpoint.every_steps, 3);
  EXPECT_EQ(run.checkpoint.keep_last, 4);
  EXPECT_EQ(run.data.dir, "/elsewhere");
  EXPECT_EQ(run.train.batch_size, 64);
}

TEST(Resume, any_other_key_is_an_error_that_says_why) {
  for (const config::Key& key : run::schema().keys()) {
    if (run::may_change_on_resume(*key.field)) continue;
    const CommandLine line = parse_command_line(Words{"--" + key.name + "=1"});
    EXPECT_THAT(
        config_error_of([&] { parse_overrides(stored_run(), line, resume_rule); }),
        AllOf(HasSubstr(key.name +
                        " cannot be changed here (a resumed run computes what the whole run would have"),
              HasSubstr("start a new run with 'switchyard train'"),
              HasSubstr("May be changed: run.device, run.threads, run.max_minutes,")))
        << key.name;
  }
}

TEST(Resume, bad_values_are_refused_as_for_a_new_run) {
  const CommandLine line = parse_command_line(Words{"--checkpoint.keep_last=0"});
  EXPECT_THAT(config_error_of([&] { parse_overrides(stored_run(), line, resume_rule); }),
              HasSubstr("checkpoint.keep_last = '0' is out of range (command line)"));
}

}  // namespace
}  // namespace switchyard::cli
