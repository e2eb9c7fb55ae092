// Every file under configs/ is what a newcomer runs first: each must parse and pass validation. Studies have a
// test of their own (studies_test.cpp).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "cli/options.hpp"
#include "moe/router_kind.hpp"
#include "nn/network_spec.hpp"
#include "run/config.hpp"
#include "support/config_error.hpp"

namespace switchyard::cli {
namespace {

using Words = std::vector<std::string>;

const std::string folder = SY_SOURCE_DIR "/configs/";

Words config_files() {
  Words files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const bool is_study = entry.path().parent_path().filename() == "studies";
    if (entry.is_regular_file() && !is_study) files.push_back(std::filesystem::relative(entry.path(), folder));
  }
  std::sort(files.begin(), files.end());
  return files;
}

class ConfigFile : public testing::TestWithParam<std::string> {};

// What a user adds, whether a file reads files of a folder or one.
TEST_P(ConfigFile, parses_and_is_valid) {
  const bool reads_one_file = GetParam().starts_with("text/") || GetParam().starts_with("own/");
  EXPECT_NO_THROW(parse_run_options(
      Words{folder + GetParam(), reads_one_file ? "--data.file=/data.h5" : "--data.dir=/data"}))
      << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Configs, ConfigFile, testing::ValuesIn(config_files()), [](const auto& file) {
  std::string name = file.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
});

TEST(Configs, fashion_mnist_and_the_bench_need_nothing_more) {
  for (const char* file : {"fashion_mnist/original.ini", "fashion_mnist/top2.ini", "bench/large_experts.ini"}) {
    EXPECT_NO_THROW(parse_run_options(Words{folder + file})) << file;
  }
}

// Setting 1 of Chen et al. 2022: 8 experts of 16 filters on 4 clusters, full-batch steps.
TEST(Configs, clusters_are_the_published_setting) {
  const run::Config config = parse_run_options(Words{folder + "clusters/setting1_cubic.ini"});
  EXPECT_EQ(config.data.source, data::Source::clusters);
  EXPECT_EQ(config.data.clusters.count, 4);
  EXPECT_EQ(config.data.clusters.patches, 4);
  EXPECT_EQ(config.data.clusters.patch_size, 50);
  EXPECT_EQ(config.data.clusters.scale, 10);
  EXPECT_EQ(config.train.batch_size, config.data.clusters.samples);
  EXPECT_EQ(config.train.order, train::SampleOrder::fixed);
  EXPECT_EQ(config.moe.experts, 8);
  EXPECT_EQ(config.moe.top_k, 1);
  EXPECT_EQ(config.model.gate_init_scale, 0);
  EXPECT_EQ(config.optim.gate_learning_rate, 0.1);
}

TEST(Configs, mnist_asks_for_its_folder) {
  const std::string message =
      test::config_error_of([] { parse_run_options(Words{folder + "mnist/original.ini"}); });
  EXPECT_THAT(message, testing::HasSubstr("--data.dir=FOLDER"));
}

// A "-n RANKS ... switchyard train FILE.ini --section.key=NUMBER ..." of a page or script.
struct DocumentedLaunch {
  std::string line;
  int ranks;
  Words words;
};

std::vector<DocumentedLaunch> documented_launches(const std::filesystem::path& file) {
  static const std::regex launch("-n ([0-9]+) .*switchyard train ([^ ]+)");
  static const std::regex option("--[a-z_.]+=[0-9]+");
  std::vector<DocumentedLaunch> launches;
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (!std::regex_search(line, match, launch)) continue;
    const std::string ini = match[2] == "FILE.ini" ? "configs/fashion_mnist/original.ini" : match[2].str();
    launches.push_back({line, std::stoi(match[1]), {SY_SOURCE_DIR "/" + ini}});
    for (std::sregex_iterator found(line.begin(), line.end(), option); found != std::sregex_iterator(); ++found)
      launches.back().words.push_back(found->str());
  }
  return launches;
}

TEST(Configs, documented_launches_give_every_rank_samples_and_an_expert) {
  const std::filesystem::path root = SY_SOURCE_DIR;
  std::vector<std::filesystem::path> files = {root / "README.md"};
  for (const char* subfolder : {"docs", "launch"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / subfolder))
      files.push_back(entry.path());
  }
  std::size_t found = 0;
  for (const std::filesystem::path& file : files) {
    for (const DocumentedLaunch& launch : documented_launches(file)) {
      ++found;
      const run::Config config = parse_run_options(launch.words);
      EXPECT_LE(launch.ranks, config.train.shards) << launch.line;
      EXPECT_LE(launch.ranks, config.moe.experts) << launch.line;
    }
  }
  EXPECT_GE(found, 5U);
}

// Parameters of a network of dense layers on flat samples.
index_t dense_parameters(const std::vector<nn::LayerSpec>& layers, index_t inputs, index_t task_outputs) {
  index_t parameters = 0;
  for (const nn::LayerSpec& layer : layers) {
    if (layer.kind != nn::LayerSpec::Kind::dense) continue;
    const index_t outputs = layer.outputs == nn::LayerSpec::from_task ? task_outputs : layer.outputs;
    parameters += (inputs + 1) * outputs;
    inputs = outputs;
  }
  return parameters;
}

TEST(Configs, large_experts_are_nearly_all_of_the_bench_memory) {
  const run::Config config = parse_run_options(Words{folder + "bench/large_experts.ini"});
  const index_t expert = dense_parameters(moe::parse_expert(config.model.expert), config.data.random.features,
                                          config.data.random.classes);
  const index_t gate = dense_parameters(moe::parse_gate(config.model.gate).layers, config.data.random.features,
                                        config.moe.experts);
  constexpr double bytes_per_parameter = 16;  // float32: weight, gradient, Adam's two moments
  const double experts_bytes = static_cast<double>(expert * config.moe.experts) * bytes_per_parameter;
  EXPECT_GE(experts_bytes, 2.5e9);
  EXPECT_LE(experts_bytes, 3.0e9);
  EXPECT_LT(static_cast<double>(gate) * bytes_per_parameter, 0.01 * experts_bytes);
}

}  // namespace
}  // namespace switchyard::cli
