#include <bit>
#include <cmath>
#include <limits>

#include "checkpoint/detail/pieces.hpp"
#include "fixture.hpp"

namespace switchyard::checkpoint {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Diff : public testing::Test {
 protected:
  // Against small_content() after `change`.
  Difference after(const std::function<void(Content&)>& change, double tolerance = 0) {
    Content original = small_content();
    Content changed = small_content();
    change(changed);
    return diff(save_from(1, a_.path(), 1, original), save_from(2, b_.path(), 1, changed), tolerance);
  }
  TemporaryDirectory a_, b_;
};

TEST_F(Diff, finds_no_difference_where_there_is_none) {
  const Difference same = after([](Content&) {});
  EXPECT_TRUE(same.equal) << same.text;
  EXPECT_THAT(same.text, AllOf(HasSubstr("bit for bit"), HasSubstr("23 arrays and state values")));
}

TEST_F(Diff, does_not_count_texts_and_what_only_informs) {
  const Difference same = after([](Content& content) {
    content.header.texts["config"] = "[run]\nfolder = elsewhere\n";
    content.header.texts["more"] = "text";
    content.header.numbers["info/seconds"] = 99;
    content.header.integers["info/threads"] = 4;
    content.add<float>("info/times", DType::float32, {2}, {1, 2});
  });
  EXPECT_TRUE(same.equal) << same.text;
}

TEST_F(Diff, names_the_first_element_that_differs_and_counts_all) {
  const Difference found = after([](Content& content) {
    auto weight = content.values<float>("parameters/gate/dense_1/weight");
    weight[17] = std::nextafter(weight[17], 2.0f);
    weight[30] = 9;
    content.values<float>("parameters/scale")[0] = 3;
  });
  EXPECT_FALSE(found.equal);
  const float before = std::sin(17.0f);
  const auto bits = std::bit_cast<std::uint32_t>(before);
  EXPECT_THAT(found.text,
              AllOf(HasSubstr("'parameters/gate/dense_1/weight' at [3, 2] (element 17)"),
                    HasSubstr(fmt::format("{:.9g} (0x{:08x}) in the first", before, bits)),
                    HasSubstr("2 of 35 elements differ"), HasSubstr("'parameters/scale': 1 of 1 elements"),
                    HasSubstr("2 of 23 arrays and state values differ")));
}

TEST_F(Diff, compares_bits) {
  const auto other_nan = [](Content& content) {
    content.values<std::uint64_t>("statistics/importance")[1] ^= 1;
  };
  EXPECT_FALSE(after(other_nan).equal);
  const auto other_zero = [](Content& content) {
    content.values<float>("parameters/gate/dense_1/bias")[0] = -0.0f;
  };
  const Difference found = after(other_zero);
  EXPECT_FALSE(found.equal);
  EXPECT_THAT(found.text, AllOf(HasSubstr("0 (0x00000000)"), HasSubstr("-0 (0x80000000)")));
}

TEST_F(Diff, counts_the_state) {
  EXPECT_THAT(after([](Content& content) { content.header.integers["state/seed"] = 8; }).text,
              AllOf(HasSubstr("'state/seed': -7 (0xfffffffffffffff9) in the first, 8 (0x8) in the second")));
  EXPECT_THAT(after([](Content& content) { content.header.numbers["state/loss"] = 0.2; }).text,
              HasSubstr("'state/loss': 0.10000000000000001"));
}

TEST_F(Diff, names_what_is_missing_or_has_another_shape) {
  const Difference missing = after([](Content& content) {
    content.arrays.erase("parameters/expert_3/weight");
    content.add<float>("parameters/expert_77/weight", DType::float32, {1}, {1});
  });
  EXPECT_THAT(missing.text, AllOf(HasSubstr("'parameters/expert_3/weight' is in '" + a_.path().string()),
                                  HasSubstr("'parameters/expert_77/weight' is in '" + b_.path().string())));
  const Difference shape = after([](Content& content) {
    content.arrays.at("parameters/expert_3/weight").shape = {3, 4, 4};
  });
  EXPECT_THAT(shape.text,
              AllOf(HasSubstr("float32 3 x 2 x 2 x 4 in the first"), HasSubstr("3 x 4 x 4 in the second")));
  const Difference type = after([](Content& content) {
    content.arrays.at("statistics/load").dtype = DType::float64;  // the same bytes
  });
  EXPECT_THAT(type.text, AllOf(HasSubstr("int64 2 x 2"), HasSubstr("float64 2 x 2")));
}

TEST_F(Diff, lists_ten_and_counts_the_rest) {
  const Difference found = after([](Content& content) {
    for (int expert = 0; expert < 12; ++expert)
      content.values<float>("parameters/expert_" + std::to_string(expert) + "/weight")[5] += 1;
  });
  // Sorted as texts: 0, 1, 10, 11, 2, ..., 7 are listed.
  EXPECT_THAT(found.text,
              AllOf(HasSubstr("first difference: 'parameters/expert_0/weight' at [0, 0, 1, 1] (element 5)"),
                    HasSubstr("expert_7/weight"), Not(HasSubstr("expert_8/weight")), HasSubstr("and 2 more")));
}

TEST_F(Diff, allows_a_tolerance_for_numbers_but_not_for_integers_and_nan) {
  const auto a_bit_off = [](Content& content) { content.values<float>("parameters/scale")[0] += 0.25f; };
  EXPECT_TRUE(after(a_bit_off, 0.25).equal);
  EXPECT_FALSE(after(a_bit_off, 0.2).equal);
  const auto one_more = [](Content& content) { content.values<std::int64_t>("statistics/load")[0] += 1; };
  EXPECT_FALSE(after(one_more, 10).equal);
  const auto nan = [](Content& content) {
    content.values<float>("parameters/scale")[0] = std::numeric_limits<float>::quiet_NaN();
  };
  EXPECT_FALSE(after(nan, 1e30).equal);
}

TEST_F(Diff, counts_elements_across_pieces) {
  const index_t rows = detail::piece_bytes / 4 / 3 + 7;  // a little over one piece
  Content first, second;
  const std::vector<float> values(static_cast<std::size_t>(3 * rows), 1.0f);
  first.add<float>("a", DType::float32, {rows, 3}, values);
  second.add<float>("a", DType::float32, {rows, 3}, values);
  second.values<float>("a").back() = 2;
  const Difference found = diff(save_from(1, a_.path(), 1, first), save_from(1, b_.path(), 1, second));
  EXPECT_THAT(found.text, HasSubstr(fmt::format("at [{}, 2] (element {})", rows - 1, 3 * rows - 1)));
}

}  // namespace
}  // namespace switchyard::checkpoint
