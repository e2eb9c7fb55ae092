#include "run/metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <array>
#include <bit>
#include <cmath>
#include <csignal>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "support/sample_statistics.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::run {
namespace {

std::string content(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

std::vector<std::string> keys(const Json& object) {
  std::vector<std::string> names;
  for (const auto& item : object.items()) names.push_back(item.key());
  return names;
}

moe::Statistics of_kinds(const moe::RowKinds& kinds) {
  return moe::Statistics({{"", moe::RoutingStatistics(4, kinds)}});
}

constexpr std::array regulariser_losses = {0.1875, 0.0, 0.0, 0.0, 0.0, 0.0};
const StepRecord step_7 = {.step = 7,
                           .epoch = 2,
                           .loss = 0.5,
                           .regularisers = regulariser_losses,
                           .gradient_norm = 2.5,
                           .learning_rate = 0.001,
                           .at = 1'700'000'000'125};

std::string step_line(const StepRecord& record, const PhaseClock::Seconds& seconds) {
  JsonLine line;
  write_step(line, record, test::sample_statistics(), seconds);
  return line.text();
}

TEST(StepLine, says_what_the_step_did) {
  PhaseClock::Seconds seconds{};
  seconds[static_cast<std::size_t>(Phase::gate)] = 0.25;
  seconds[static_cast<std::size_t>(Phase::exchange)] = 0.5;
  seconds[static_cast<std::size_t>(Phase::other)] = 1.25;
  Json object = Json::parse(step_line(step_7, seconds));
  EXPECT_NEAR(object["h_u"].get<double>(), 1.58829302683016, 1e-12);
  EXPECT_NEAR(object["mi_predicted"].get<double>(), 1.3350739447326836, 1e-12);
  EXPECT_NEAR(object["mi_true"].get<double>(), 1.3350739447326836, 1e-12);
  for (const char* name : {"h_u", "mi_predicted", "mi_true"})
    object[name] = 0;  // their last bits are the library's
  EXPECT_EQ(
      object.dump(),

      R"({"kind":"step","step":7,"epoch":2,"samples":1000,"loss":0.5,"task_loss":0.3125,"importance_loss":0.1875,"balance_loss":0.0,"z_loss":0.0,"gate_entropy_loss":0.0,"load_loss":0.0,"similarity_loss":0.0,)"
      R"("error":0.1,"gradient_norm":2.5,"learning_rate":0.001,"importance":[430.0,310.0,255.0,5.0],)"
      R"("load":[450,300,250,0],"h_s":0.21,"h_s_chosen":0.12,"h_u":0,"mi_predicted":0,)"
      R"("mi_true":0,"dead_experts":[3],)"
      R"("time":{"at":"2023-11-14T22:13:20.125Z","data":0.0,"attention":0.0,"feed_forward":0.0,"gate":0.25,"exchange":0.5,"experts":0.0,"combine":0.0,"reduction":0.0,"update":0.0,)"
      R"("other":1.25,"step":2.0,"samples_per_second":500.0,"sent_rows":1234}})");
}

TEST(StepLine, is_the_same_on_a_slower_machine_apart_from_time) {
  PhaseClock::Seconds fast{};
  PhaseClock::Seconds slow{};
  fast.fill(0.001);
  slow.fill(2);
  Json a = Json::parse(step_line(step_7, fast));
  Json b = Json::parse(step_line(step_7, slow));
  EXPECT_NE(a, b);
  a.erase("time");
  b.erase("time");
  EXPECT_EQ(a.dump(), b.dump());
}

// Without samples nothing is counted and no expert is dead; with clusters there is a member more.
TEST(StepLine, is_what_json_prints_of_it) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double loss : {1.0 / 3, -0.0, 5e-324, 1e22, nan}) {
    StepRecord record = step_7;
    record.loss = loss;
    for (const moe::Statistics& statistics : {test::sample_statistics(), of_kinds({3}), of_kinds({3, 2})}) {
      JsonLine line;
      write_step(line, record, statistics, {0.1, 0.2, 0.3});
      const Json read = Json::parse(line.text());
      EXPECT_EQ(line.text(), read.dump() + "\n");
      EXPECT_EQ(read.contains("dispatch_entropy"), statistics.routing().groups() > 0);
      EXPECT_EQ(read["dead_experts"].empty(), statistics.samples() == 0);
    }
  }
}

// Of a layer, where what experts take is limited.
TEST(StepLine, says_how_many_slots_were_dropped) {
  moe::Statistics statistics = test::text_statistics();
  moe::RoutingStatistics& routing = statistics.layers[1].routing;
  routing.is_limited = true;
  routing.dropped() = 250;
  JsonLine line;
  write_step(line, step_7, statistics, {0.5});
  const Json read = Json::parse(line.text());
  EXPECT_FALSE(read["layers"][0].contains("dropped"));
  EXPECT_EQ(read["layers"][1]["dropped"], 0.25);
  const Json evaluation = evaluation_object(statistics);
  EXPECT_FALSE(evaluation["layers"][0].contains("dropped"));
  EXPECT_EQ(evaluation["layers"][1]["dropped"], 0.25);
}

// What is of a mixture is in the layers, and nothing of classes is anywhere.
TEST(StepLine, of_several_layers_has_one_object_for_each) {
  JsonLine line;
  write_step(line, step_7, test::text_statistics(), {0.5});
  const Json read = Json::parse(line.text());
  EXPECT_EQ(line.text(), read.dump() + "\n");
  EXPECT_THAT(keys(read), testing::ElementsAre("kind", "step", "epoch", "samples", "loss", "task_loss",
                                               "importance_loss", "balance_loss", "z_loss", "gate_entropy_loss",
                                               "load_loss", "similarity_loss", "error", "gradient_norm",
                                               "learning_rate", "layers", "time"));
  ASSERT_EQ(read["layers"].size(), 2U);
  for (const Json& layer : read["layers"]) {
    EXPECT_THAT(keys(layer), testing::ElementsAre("name", "importance", "load", "h_s", "h_s_chosen", "h_u",
                                                  "dispatch_entropy", "dead_experts"));
  }
  EXPECT_EQ(read["layers"][1]["name"], "blocks/01/mixture");
  EXPECT_EQ(read["layers"][1]["load"].dump(), "[500,500,0]");
  EXPECT_EQ(read["layers"][1]["dead_experts"].dump(), "[2]");
}

TEST(EvaluationRecordObject, of_several_layers_has_one_object_for_each) {
  const Json object = evaluation_record_object({"validation", 540, 3, 2.0}, test::text_statistics());
  EXPECT_THAT(keys(object), testing::ElementsAre("kind", "split", "step", "epoch", "error", "loss", "task_loss",
                                                 "perplexity", "bits_per_byte", "domains", "layers", "time"));
  EXPECT_NEAR(object["perplexity"].get<double>(), std::sqrt(2.0), 1e-12);
  EXPECT_NEAR(object["bits_per_byte"].get<double>(), 0.5, 1e-12);
  EXPECT_EQ(object["domains"].dump(), R"(["code","letters"])");
  for (const Json& layer : object["layers"]) {
    EXPECT_THAT(keys(layer),
                testing::ElementsAre("name", "h_s", "h_s_chosen", "h_u", "dispatch_entropy", "largest_share",
                                     "active_experts", "expert_share", "importance_share", "load",
                                     "dead_experts", "domain_by_expert"));
  }
  EXPECT_EQ(object["layers"][0]["domain_by_expert"].dump(), "[[400,100,100],[0,0,400]]");
}

TEST(EvaluationRecordObject, has_the_tables_with_classes_as_rows) {
  moe::Statistics statistics = test::sample_statistics();
  statistics.routing().by_prediction(2, 0) = 51;
  const Json object = evaluation_record_object({"validation", 540, 3, 2.0}, statistics);
  EXPECT_THAT(keys(object), testing::ElementsAre("kind", "split", "step", "epoch", "error", "loss", "task_loss",
                                                 "h_s", "h_s_chosen", "h_u", "mi_predicted", "mi_true",
                                                 "dispatch_entropy_label", "largest_share", "active_experts",
                                                 "expert_share", "importance_share", "load", "dead_experts",
                                                 "class_by_expert", "class_by_expert_predicted", "time"));
  EXPECT_EQ(object["kind"], "evaluation");
  EXPECT_EQ(object["split"], "validation");
  EXPECT_EQ(object["step"], 540);
  EXPECT_EQ(object["epoch"], 3);
  EXPECT_EQ(object["importance_share"].dump(), "[0.43,0.31,0.255,0.005]");
  EXPECT_EQ(object["class_by_expert"].dump(), "[[400,0,0,0],[0,300,1,0],[50,0,249,0]]");
  EXPECT_EQ(object["class_by_expert_predicted"].dump(), "[[400,0,0,0],[0,300,1,0],[51,0,249,0]]");
  EXPECT_EQ(object["time"].dump(),
            R"({"at":"1970-01-01T00:00:00.000Z","evaluation":2.0,"samples_per_second":500.0})");
}

TEST(EvaluationObject, names_classes_and_clusters_where_the_data_do) {
  moe::Statistics statistics({{"", moe::RoutingStatistics(3, {.classes = 2, .groups = 1})}});
  EXPECT_FALSE(evaluation_object(statistics).contains("classes"));
  statistics.names =
      std::make_shared<const moe::Statistics::Names>(moe::Statistics::Names{{"upright", "rotated"}, {"frog"}});
  const Json object = evaluation_object(statistics);
  EXPECT_EQ(object["classes"].dump(), R"(["upright","rotated"])");
  EXPECT_EQ(object["clusters"].dump(), R"(["frog"])");
  EXPECT_EQ(object["cluster_by_expert"].dump(), "[[0,0,0]]");
}

TEST(EvaluationObject, has_the_names_that_all_readers_know) {
  const Json object = evaluation_object(test::sample_statistics());
  EXPECT_THAT(keys(object), testing::ElementsAre(
                                "error", "loss", "task_loss", "h_s", "h_s_chosen", "h_u", "mi_predicted",
                                "mi_true", "dispatch_entropy_label", "largest_share", "active_experts",
                                "expert_share", "importance_share", "load", "dead_experts", "class_by_expert"));
  EXPECT_EQ(object["largest_share"], 0.45);
  EXPECT_EQ(object["active_experts"].dump(), "3");
  EXPECT_EQ(object["error"], 0.1);
  EXPECT_EQ(object["expert_share"].dump(), "[0.45,0.3,0.25,0.0]");
}

TEST(MetricsWriter, appends_one_line_at_a_time) {
  const test::TemporaryDirectory folder;
  const auto file = folder.path() / "metrics.jsonl";
  {
    MetricsWriter writer(file);
    writer.write({{"step", 1}});
    EXPECT_EQ(content(file), "{\"step\":1}\n") << "not written through";
    writer.write({{"step", 2}, {"text", "two\nlines"}});
  }
  MetricsWriter(file).write({{"step", 3}});
  EXPECT_EQ(content(file), "{\"step\":1}\n{\"step\":2,\"text\":\"two\\nlines\"}\n{\"step\":3}\n");
}

TEST(MetricsWriter, stays_valid_json_with_values_that_json_lacks) {
  const test::TemporaryDirectory folder;
  const auto file = folder.path() / "metrics.jsonl";
  MetricsWriter writer(file);
  writer.write({{"loss", std::numeric_limits<double>::quiet_NaN()}, {"text", "not UTF-8: \xff"}});
  EXPECT_TRUE(Json::parse(content(file))["loss"].is_null());

  std::filesystem::resize_file(file, 0);
  StepRecord record = step_7;
  record.loss = std::numeric_limits<double>::quiet_NaN();
  record.gradient_norm = std::numeric_limits<double>::infinity();
  writer.write_step(record, test::sample_statistics(), {});
  const Json read = Json::parse(content(file));
  EXPECT_TRUE(read["loss"].is_null());
  EXPECT_TRUE(read["gradient_norm"].is_null());
  EXPECT_EQ(read["task_loss"], 0.3125);
}

TEST(MetricsWriter, prints_doubles_that_read_back_bit_for_bit) {
  const test::TemporaryDirectory folder;
  const auto file = folder.path() / "metrics.jsonl";
  std::mt19937_64 random(7);
  std::vector<double> values = {0.1, 1.0 / 3.0, 5e-300, 1.7976931348623157e308, -0.0, 9007199254740993.0};
  while (values.size() < 2000) {
    const double value = std::bit_cast<double>(random());
    if (std::isnormal(value)) values.push_back(value);
  }
  MetricsWriter(file).write({{"values", values}});
  const Json read = Json::parse(content(file));
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(std::bit_cast<std::uint64_t>(read["values"][i].get<double>()),
              std::bit_cast<std::uint64_t>(values[i]));
  }
}

TEST(MetricsWriter, says_that_the_disk_is_full) {
  MetricsWriter writer("/dev/full");
  try {
    writer.write({{"step", 1}});
    FAIL() << "did not throw";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(),
                testing::HasSubstr("cannot write to '/dev/full' (No space left on device); free space"));
  }
}

// The limit on file sizes plays a disk that fills up in the middle of a line.
TEST(MetricsWriter, leaves_no_torn_line_where_the_file_cannot_grow) {
  const test::TemporaryDirectory folder;
  const auto file = folder.path() / "metrics.jsonl";
  MetricsWriter writer(file);
  writer.write({{"step", 1}});
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  rlimit limit = old_limit;
  limit.rlim_cur = 30;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  EXPECT_THROW(writer.write({{"text", std::string(100, 'x')}}), DataError);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(content(file), "{\"step\":1}\n");
}

TEST(MetricsWriter, says_what_it_cannot_open) {
  try {
    const MetricsWriter writer("/proc/no-such-folder/metrics.jsonl");
    FAIL() << "did not throw";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(),
                testing::HasSubstr("'/proc/no-such-folder/metrics.jsonl' (No such file or directory)"));
  }
}

}  // namespace
}  // namespace switchyard::run
