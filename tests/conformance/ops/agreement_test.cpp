#include "ops/agreement.hpp"

#include <bit>
#include <cmath>
#include <limits>

#include "conformance/ops/executors.hpp"
#include "ops/reduce.hpp"

namespace switchyard::ops {
namespace {

// Squares of a table of norms, with what the host would make of them.
struct Squares {
  std::vector<std::int64_t> begin = {0};
  std::vector<std::int64_t> long_entries;
  std::vector<double> values, by_entry;
  double norm = 0;

  // Entries with so many squares.
  explicit Squares(const std::vector<index_t>& counts) {
    for (const index_t count : counts) {
      std::vector<double> of_entry;
      for (index_t i = 0; i < count; ++i) {
        const double x = std::sin(static_cast<double>(values.size() + 1)) * 1e3;
        values.push_back(x * x);
        of_entry.push_back(x * x);
      }
      if (count > short_squares) long_entries.push_back(std::ssize(begin) - 1);
      begin.push_back(std::ssize(values));
      by_entry.push_back(sum_tree(of_entry));
    }
    norm = std::sqrt(sum_tree(by_entry));
  }
  std::vector<std::int64_t> message() const {
    std::vector<std::int64_t> bits;
    for (const double value : values) bits.push_back(std::bit_cast<std::int64_t>(value));
    bits.resize(bits.size() + mark_count);
    return bits;
  }
};

struct Units {
  std::vector<std::int64_t> begin, parameter;
  bool sum_of_parameters = false;
};

StepScalars agreed(device::Context& context, const Squares& squares, const AgreementInput& input,
                   const Units& units = {}, std::vector<float>* unit_scales = nullptr,
                   StepScalars scalars = {}) {
  std::vector<double> by_entry(squares.by_entry.size()), nodes(squares.values.size() + by_entry.size());
  std::vector<float> none;
  agree(context, input,
        {.square_begin = squares.begin,
         .long_entries = squares.long_entries,
         .unit_begin = units.begin,
         .parameter = units.parameter,
         .sum_of_parameters = units.sum_of_parameters,
         .squares = by_entry,
         .nodes = nodes,
         .unit_scales = unit_scales != nullptr ? *unit_scales : none},
        &scalars);
  return scalars;
}

TEST(Agreement, adds_squares_as_the_tree_of_the_host) {
  for (const index_t entries : {1, 2, 3, 5, 8, 13, 31, 32, 69}) {
    std::vector<index_t> counts;
    for (index_t i = 0; i < entries; ++i) counts.push_back(i % 5 == 3 ? 30 + 7 * i : 1 + i % 3);
    const Squares squares(counts);
    const std::vector<std::int64_t> message = squares.message();
    const auto norm = on_every_executor("agree", [&](device::Context& context) {
      return std::vector<double>{agreed(context, squares, {.message = message}).agreed.gradient_norm};
    });
    ASSERT_EQ(norm[0], squares.norm) << entries;
  }
}

TEST(Agreement, clips_what_is_longer) {
  const Squares squares({1, 2});
  const std::vector<std::int64_t> message = squares.message();
  device::Context context(1);
  const auto scale = [&](double most) {
    return agreed(context, squares, {.message = message, .most_norm = most}).agreed.gradient_scale;
  };
  EXPECT_EQ(scale(0), 1.0F);
  EXPECT_EQ(scale(squares.norm), 1.0F);
  EXPECT_EQ(scale(1.5), static_cast<float>(1.5 / squares.norm));
}

TEST(Agreement, divides_units_by_their_norm_or_the_sum_of_their_parameters) {
  const Squares squares({1, 1, 3, 1});
  const std::vector<std::int64_t> message = squares.message();
  Units units{.begin = {0, 1, 4}, .parameter = {0, 0, 0, 1}};
  const auto& of = squares.by_entry;
  const std::vector<double> two = {of[1], of[2]}, three = {of[1], of[2], of[3]};
  for (const bool sum : {false, true}) {
    units.sum_of_parameters = sum;
    const double norm = sum ? std::sqrt(sum_tree(two)) + std::sqrt(of[3]) : std::sqrt(sum_tree(three));
    const auto scales = on_every_executor("agree", [&](device::Context& context) {
      std::vector<float> found(2);
      agreed(context, squares, {.message = message}, units, &found);
      return found;
    });
    EXPECT_EQ(scales[0], static_cast<float>(1 / std::sqrt(of[0])));
    EXPECT_EQ(scales[1], static_cast<float>(1 / norm));
  }
  std::vector<std::int64_t> without = message;
  without[0] = 0;
  std::vector<float> found(2);
  device::Context context(1);
  agreed(context, squares, {.message = without}, units, &found);
  EXPECT_LT(found[0], 0.0F);
}

TEST(Agreement, is_finite_if_norm_and_sums_are_and_nobody_has_failed_before) {
  const Squares squares({1, 2});
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> sums = {1, -2, 0}, strange = {1, infinity, 0};
  std::vector<std::int64_t> message = squares.message();
  device::Context context(1);
  StepScalars scalars = agreed(context, squares, {.message = message, .sums = sums});
  EXPECT_EQ(scalars.agreed.is_finite, 1);
  scalars = agreed(context, squares, {.message = message, .sums = strange});
  EXPECT_EQ(scalars.agreed.is_finite, 0);
  scalars = agreed(context, squares, {.message = message, .sums = sums}, {}, nullptr, scalars);
  EXPECT_EQ(scalars.agreed.is_finite, 0) << "behind a step that was not";
  message[0] = std::bit_cast<std::int64_t>(std::nan(""));
  EXPECT_EQ(agreed(context, squares, {.message = message, .sums = sums}).agreed.is_finite, 0);
  message = squares.message();
  message[message.size() - mark_count + mark_failed] = 1;
  EXPECT_EQ(agreed(context, squares, {.message = message, .sums = sums}).agreed.is_finite, 0);
}

TEST(OwnPart, writes_squares_by_places_and_marks) {
  const std::vector<float> x = random_values(2 * squared_piece + 10, 4);
  const Span<const float> all(x);
  const std::vector<SquaredPiece> pieces = {{{x.data(), x.data()}, squared_piece},
                                            {{x.data(), x.data() + squared_piece}, squared_piece},
                                            {{x.data(), x.data() + 2 * squared_piece}, 10},
                                            {{x.data(), x.data()}, 10}};
  const std::vector<SquarePlace> places = {{0, 3, 4}, {3, 1, 1}};
  StepScalars scalars;
  scalars.given.stop = 1;
  const auto message = on_every_executor("write_own_part", [&](device::Context& context) {
    std::vector<double> sums(pieces.size());
    std::vector<std::int64_t> result = {7, 7, 7, 7, 7, 7, 7, 7};
    const std::int64_t has_failed = 1;
    write_own_part(context, {pieces, x.data(), places, sums, &scalars, &has_failed, result});
    return result;
  });
  device::Context context(1);
  const auto bits = [&](Span<const float> part) {
    return std::bit_cast<std::int64_t>(squared_sum(context, part));
  };
  EXPECT_EQ(message, (std::vector<std::int64_t>{7, bits(all.first(10)), 7, 7, bits(all), 1, 1, 0}));
}

}  // namespace
}  // namespace switchyard::ops
