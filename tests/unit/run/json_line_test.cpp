#include "run/json_line.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "run/metrics.hpp"

namespace switchyard::run {
namespace {

std::string line_of(double value) {
  JsonLine line;
  line.begin();
  line.add("value", value);
  line.end();
  return line.text();
}

TEST(JsonLine, prints_each_double_as_json_does) {
  using Limits = std::numeric_limits<double>;
  std::vector<double> values = {0.0,
                                -0.0,
                                1.0,
                                -1.0,
                                0.1,
                                1.0 / 3,
                                1e-4,
                                1e-5,
                                123456.0,
                                1e14,
                                1e15,
                                1e16,
                                1e22,
                                9007199254740993.0,
                                Limits::denorm_min(),
                                Limits::min(),
                                Limits::max(),
                                Limits::lowest(),
                                Limits::epsilon(),
                                Limits::infinity(),
                                -Limits::infinity(),
                                Limits::quiet_NaN()};
  std::mt19937_64 random(11);
  std::uniform_real_distribution<double> usual(0, 3);
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(std::bit_cast<double>(random()));        // all exponents, some that are not finite
    values.push_back(std::bit_cast<double>(random() >> 12));  // too small to be normal
    values.push_back(usual(random));                          // std::to_chars differs in some 20 of these
    values.push_back(static_cast<double>(random() % 100'000));
  }
  for (const double value : values) {
    ASSERT_EQ(line_of(value), Json({{"value", value}}).dump() + "\n") << std::bit_cast<std::uint64_t>(value);
  }
}

TEST(JsonLine, prints_integers_texts_arrays_and_objects_as_json_does) {
  JsonLine line;
  for (int again = 0; again < 2; ++again) {
    line.begin();
    line.add("kind", "step");
    line.add("least", std::numeric_limits<index_t>::min());
    line.add("most", std::numeric_limits<index_t>::max());
    line.open_array("none");
    line.close_array();
    line.open_array("some");
    line.add(index_t{1});
    line.add(2.0);
    line.close_array();
    line.open_object("empty");
    line.close_object();
    line.open_object("inner");
    line.add("zero", index_t{0});
    line.close_object();
    line.end();
    EXPECT_EQ(line.text(),
              R"({"kind":"step","least":-9223372036854775808,"most":9223372036854775807,"none":[],)"
              R"("some":[1,2.0],"empty":{},"inner":{"zero":0}})"
              "\n");
    EXPECT_EQ(line.text(), Json::parse(line.text()).dump() + "\n");
  }
}

TEST(JsonLine, without_members_is_an_empty_object) {
  JsonLine line;
  line.begin();
  line.end();
  EXPECT_EQ(line.text(), "{}\n");
}

}  // namespace
}  // namespace switchyard::run
