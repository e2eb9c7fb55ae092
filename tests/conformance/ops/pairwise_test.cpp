// Distances from a matrix product against pair by pair in float64.
#include "ops/moe/pairwise.hpp"

#include <cmath>

#include "base/error.hpp"
#include "conformance/ops/executors.hpp"

namespace switchyard::ops {
namespace {

struct Rows {
  std::vector<float> values;
  index_t rows, cols;
  std::vector<float> norms;

  Rows(std::vector<float> values_in, index_t rows_in, index_t cols_in)
      : values(std::move(values_in)), rows(rows_in), cols(cols_in), norms(static_cast<std::size_t>(rows)) {
    device::Context context(1);
    squared_norms(context, matrix(), norms);
  }
  tensor::ConstMatrix matrix() const { return {values.data(), rows, cols}; }
  PairwiseRows view() const { return {matrix(), norms}; }
  double squared_norm(index_t r) const {
    double sum = 0;
    for (index_t i = 0; i < cols; ++i) sum += std::pow(static_cast<double>(matrix()(r, i)), 2);
    return sum;
  }
};

Rows random_rows(index_t rows, index_t cols, unsigned seed) {
  return {random_values(rows * cols, seed), rows, cols};
}

double exact_distance(tensor::ConstMatrix x, index_t r, tensor::ConstMatrix y, index_t c) {
  double square = 0;
  for (index_t i = 0; i < x.cols; ++i) {
    square += std::pow(static_cast<double>(x(r, i)) - static_cast<double>(y(c, i)), 2);
  }
  return std::sqrt(square);
}

constexpr index_t no_self = index_t{1} << 40;

struct Distances {
  std::vector<float> values;
  std::vector<double> sums;
};

Distances distances_of(device::Context& context, const Rows& x, const Rows& y, index_t self) {
  Distances result{std::vector<float>(static_cast<std::size_t>(x.rows * y.rows), -7.0F),
                   std::vector<double>(static_cast<std::size_t>(x.rows), 0.5)};  // it adds to what is there
  pairwise_distances(context, x.view(), y.view(), self, {{result.values.data(), x.rows, y.rows}, result.sums});
  return result;
}

// The bound that ops/moe/pairwise.hpp states.
double allowed(double squares, double distance) {
  const double e = 16 * std::ldexp(1.0, -24) * squares;
  return std::min(std::sqrt(e), distance > 0 ? e / distance : std::sqrt(e));
}

void expect_distances(const Rows& x, const Rows& y, index_t self) {
  device::Context context(1);
  const Distances got = distances_of(context, x, y, self);
  for (index_t r = 0; r < x.rows; ++r) {
    double sum = 0.5;
    for (index_t c = 0; c < y.rows; ++c) {
      const auto value = static_cast<double>(got.values[static_cast<std::size_t>(r * y.rows + c)]);
      sum += value;
      if (c == r + self) {
        ASSERT_EQ(value, 0.0) << "of sample " << r << " to itself";
        continue;
      }
      const double exact = exact_distance(x.matrix(), r, y.matrix(), c);
      ASSERT_NEAR(value, exact, allowed(x.squared_norm(r) + y.squared_norm(c), exact)) << r << ", " << c;
    }
    EXPECT_NEAR(got.sums[static_cast<std::size_t>(r)], sum, 1e-12 * sum);
  }
}

TEST(PairwiseDistances, are_those_of_every_pair) {
  for (const index_t cols : {1, 3, 31, 255, 256, 784}) {
    for (const auto& [rows, columns] : {std::pair<index_t, index_t>{1, 1}, {5, 33}, {33, 5}, {64, 100}}) {
      SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(columns) + " in " + std::to_string(cols));
      expect_distances(random_rows(rows, cols, 1), random_rows(columns, cols, 2), no_self);
    }
  }
}

// Where subtracting cancels most digits: a sample and the same one with a little noise, far from the origin.
TEST(PairwiseDistances, of_near_neighbours_keep_to_the_bound) {
  const index_t cols = 784;
  const Rows x = random_rows(20, cols, 3);
  for (const float spread : {1e-1F, 1e-2F, 1e-3F, 1e-4F, 0.0F}) {
    SCOPED_TRACE(spread);
    std::vector<float> moved = x.values;
    const std::vector<float> noise = random_values(20 * cols, 4, spread > 0 ? spread : 1.0F);
    for (std::size_t i = 0; i < moved.size(); ++i) moved[i] += spread > 0 ? noise[i] : 0.0F;
    expect_distances(x, {moved, 20, cols}, no_self);
  }
}

TEST(PairwiseDistances, to_oneself_are_zero_wherever_the_block_lies) {
  const Rows all = random_rows(40, 50, 5);
  for (const index_t self : {-3, 0, 7, 30}) {
    for (const index_t rows : {4, 40}) {
      SCOPED_TRACE(std::to_string(self) + ", " + std::to_string(rows));
      expect_distances({{all.values.begin(), all.values.begin() + rows * 50}, rows, 50}, all, self);
    }
  }
}

TEST(PairwiseDistances, have_the_same_bits_on_every_executor) {
  for (const index_t size : edge_sizes) {
    const Rows x = random_rows(9, 40, 6);
    const Rows y = random_rows(size, 40, 7);
    on_every_processor("distances", [&](device::Context& c) { return distances_of(c, x, y, 2).values; });
    on_every_processor("sums of distances", [&](device::Context& c) { return distances_of(c, x, y, 2).sums; });
    on_every_executor("squared norms", [&](device::Context& c) {
      std::vector<float> norms(static_cast<std::size_t>(size));
      squared_norms(c, y.matrix(), norms);
      return norms;
    });
  }
}

TEST(PairwiseDistances, refuse_shapes_that_do_not_fit) {
  device::Context context(1);
  const Rows x = random_rows(3, 4, 8);
  const Rows other_width = random_rows(3, 5, 8);
  EXPECT_THROW(distances_of(context, x, other_width, 0), ContractViolation);
  std::vector<float> values(9);
  std::vector<double> sums(2);
  EXPECT_THROW(pairwise_distances(context, x.view(), x.view(), 0, {{values.data(), 3, 3}, sums}),
               ContractViolation);
  sums.resize(3);
  EXPECT_THROW(pairwise_distances(context, x.view(), x.view(), 0, {{values.data(), 3, 2}, sums}),
               ContractViolation);
  EXPECT_THROW(squared_norms(context, x.matrix(), std::span(values).first(2)), ContractViolation);
}

}  // namespace
}  // namespace switchyard::ops
