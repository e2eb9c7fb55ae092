#include "ops/patch_filters.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "conformance/ops/executors.hpp"
#include "numerics/ops/differences.hpp"
#include "support/reference_patches.hpp"
#include "support/row_places.hpp"

namespace switchyard::ops {
namespace {

namespace naive = switchyard::reference;

constexpr PatchActivation activations[] = {PatchActivation::none, PatchActivation::relu, PatchActivation::cubic,
                                           PatchActivation::celu, PatchActivation::gelu, PatchActivation::tanh};

// The published experts and routers, single numbers, and counts on both sides of 4 patches at once, of 10
// inputs at once and of a vector of units.
struct Size {
  index_t patches, patch_size, outputs, filters;
};
constexpr Size sizes[] = {{4, 50, 1, 16}, {4, 50, 2, 8}, {4, 50, 8, 1},  {1, 1, 1, 1},
                          {3, 7, 3, 5},   {5, 33, 1, 3}, {9, 10, 2, 17}, {8, 14, 5, 7}};
constexpr index_t row_counts[] = {0, 1, 3, 64, 65, 130};  // a chunk is 64

std::string describe(const PatchFilterShape& s, index_t rows) {
  return std::to_string(rows) + " rows of " + std::to_string(s.patches) + " x " + std::to_string(s.patch_size) +
         ", " + std::to_string(s.outputs) + " outputs of " + std::to_string(s.filters) +
         " filters, activation " + std::to_string(static_cast<int>(s.activation)) + (s.bias ? ", bias" : "");
}

std::vector<double> doubles(const float* from, index_t count) { return {from, from + count}; }

// How the rows of samples lie in memory.
enum class Layout { dense, padded, table };

// Random samples, weights and gradients for a shape.
struct PatchData {
  PatchFilterShape shape;
  index_t rows;
  std::vector<float> samples, weight, bias, d_out;

  PatchData(const PatchFilterShape& shape_in, index_t rows_in, unsigned seed)
      : shape(shape_in),
        rows(rows_in),
        samples(random_values(rows * shape.in_features(), seed)),
        // Pre-activations of size 1, and a few of size 4: both branches of every activation.
        weight(random_values(shape.weight_count(), seed + 1,
                             1.0F / std::sqrt(static_cast<float>(shape.patch_size)))),
        bias(random_values(shape.bias_count(), seed + 2)),
        d_out(random_values(rows * shape.outputs, seed + 3)) {}

  std::vector<double> sample(index_t r) const {
    return doubles(samples.data() + r * shape.in_features(), shape.in_features());
  }
};

struct PatchRun {
  std::vector<float> out, filtered, d_weight, d_bias;

  std::vector<float> all() const {
    std::vector<float> values = out;
    for (const auto* part : {&filtered, &d_weight, &d_bias})
      values.insert(values.end(), part->begin(), part->end());
    return values;
  }
};

// `filtered` is what forward leaves there.
PatchRun run(device::Context& context, const PatchData& data, Layout layout = Layout::dense) {
  const PatchFilterShape& shape = data.shape;
  const index_t padding = layout == Layout::padded ? 3 : 0;
  const PaddedMatrix samples(data.samples, data.rows, shape.in_features(), padding);
  test::RowPlaces<const float> table;
  for (index_t r = 0; r < data.rows; ++r) table.push_back(data.samples.data() + r * shape.in_features());
  const tensor::RowSource source =
      layout == Layout::table ? table.view(shape.in_features()) : tensor::RowSource(samples.view());
  const PaddedMatrix sums(data.rows, shape.sums_first() ? shape.patch_size : 0, padding);
  const PaddedMatrix filtered(data.rows, shape.filtered_patches() * shape.units(), padding);
  const PaddedMatrix out(data.rows, shape.outputs, padding);
  const PaddedMatrix d_out(data.d_out, data.rows, shape.outputs, padding);
  PatchFilterRows rows{source, {shape.sums_first() ? sums.view() : tensor::Matrix{}, filtered.view()}};
  const float* const bias = shape.bias ? data.bias.data() : nullptr;
  const Tile tile{0, static_cast<std::int32_t>(data.rows), static_cast<std::int32_t>(data.rows), 0};
  const TileView tiles{&tile, 1, data.rows};
  patch_filters_forward(context, shape, tiles, rows, {data.weight.data(), bias}, out.view());

  PatchRun result;
  for (index_t r = 0; r < data.rows; ++r) {
    result.out.insert(result.out.end(), out.view().row(r), out.view().row(r) + out.view().cols);
    const float* const z = filtered.view().row(r);
    result.filtered.insert(result.filtered.end(), z, z + filtered.view().cols);
  }
  const index_t weights = shape.weight_count();
  std::vector<float> gradients(static_cast<std::size_t>(weights + shape.bias_count()), -7.0F);
  std::vector<float> workspace(static_cast<std::size_t>(patch_filters_workspace_floats(shape, data.rows)),
                               9.0F);
  rows.d_out = d_out.view();
  patch_filters_backward(context, shape, tiles, rows, workspace,
                         {gradients.data(), 1, static_cast<index_t>(gradients.size())});
  result.d_weight.assign(gradients.begin(), gradients.begin() + weights);
  result.d_bias.assign(gradients.begin() + weights, gradients.end());
  for (const PaddedMatrix* m : {&samples, &sums, &filtered, &out, &d_out})
    EXPECT_TRUE(m->padding_is_untouched());
  return result;
}

// A pre-activation is off by a few roundings of its terms (of size 1, up to 50 of them, in float32: 1e-6); the
// activation multiplies that by its slope, 48 for a cube at z = 4. All relative to the sum of absolute values.
constexpr double tolerance = 1e-5;

void expect_reference(const PatchData& data, const PatchRun& got) {
  const PatchFilterShape& shape = data.shape;
  const std::vector<double> weight = doubles(data.weight.data(), shape.weight_count());
  const std::vector<double> bias = doubles(data.bias.data(), shape.bias_count());
  naive::PatchGradient gradient(shape);
  for (index_t r = 0; r < data.rows; ++r) {
    const std::vector<double> x = data.sample(r);
    const std::vector<double> expected = naive::patch_filters(shape, x, weight, bias);
    double magnitude = 1;
    for (const double z : naive::filter_patches(shape, x, weight, bias)) {
      magnitude += std::abs(naive::activate(shape.activation, z));
    }
    for (index_t o = 0; o < shape.outputs; ++o) {
      ASSERT_NEAR(got.out[static_cast<std::size_t>(r * shape.outputs + o)],
                  expected[static_cast<std::size_t>(o)], tolerance * magnitude)
          << "row " << r << ", output " << o;
    }
    naive::add_patch_gradient(shape, x, weight, bias,
                              doubles(data.d_out.data() + r * shape.outputs, shape.outputs), gradient);
  }
  const auto expect_near = [](const char* what, const std::vector<float>& found,
                              const std::vector<double>& expected, const std::vector<double>& magnitude) {
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_NEAR(found[i], expected[i], tolerance * (magnitude[i] + (expected[i] == 0 ? 0 : 1))) << what << i;
    }
  };
  expect_near("weight ", got.d_weight, gradient.weight, gradient.weight_magnitude);
  expect_near("bias ", got.d_bias, gradient.bias, gradient.bias_magnitude);
}

template <class F>
void for_all_shapes(const F& f) {
  for (const PatchActivation activation : activations) {
    for (const Size& s : sizes) {
      for (const bool bias : {false, true}) {
        f(PatchFilterShape{s.patches, s.patch_size, s.outputs, s.filters, activation, bias});
      }
    }
  }
}

TEST(PatchFilters, the_reference_has_the_slopes_of_its_activations) {
  for (const PatchActivation activation : activations) {
    for (const double z : {-6.0, -2.5, -1.0, -0.3, 0.2, 0.9, 1.7, 5.0}) {
      std::vector<double> place = {z};
      const auto slope =
          testing::central_differences(place, [&] { return naive::activate(activation, place[0]); })[0];
      EXPECT_NEAR(naive::activation_slope(activation, z), slope, 1e-8)
          << static_cast<int>(activation) << " at " << z;
    }
  }
  // The tanh form of x Phi(x) is within 5e-4 of it.
  for (const double z : {-3.0, -1.0, 0.5, 2.0}) {
    EXPECT_NEAR(naive::activate(PatchActivation::gelu, z), z * std::erfc(-z / std::sqrt(2.0)) / 2, 5e-4);
  }
}

TEST(PatchFilters, equal_the_reference_forward_and_backward) {
  device::Context context(1);
  for_all_shapes([&](const PatchFilterShape& shape) {
    for (const index_t rows : row_counts) {
      SCOPED_TRACE(describe(shape, rows));
      const PatchData data(shape, rows, 1);
      expect_reference(data, run(context, data));
    }
  });
}

TEST(PatchFilters, read_rows_wherever_they_lie) {
  device::Context context(1);
  for_all_shapes([&](const PatchFilterShape& shape) {
    SCOPED_TRACE(describe(shape, 67));
    const PatchData data(shape, 67, 2);
    const std::vector<float> expected = run(context, data).all();
    EXPECT_TRUE(same_bits(run(context, data, Layout::padded).all(), expected)) << "rows apart";
    EXPECT_TRUE(same_bits(run(context, data, Layout::table).all(), expected)) << "a table of rows";
  });
}

TEST(PatchFilters, have_the_same_bits_on_every_executor) {
  for_all_shapes([&](const PatchFilterShape& shape) {
    if (shape.units() > 20) return;
    for (const index_t rows : {index_t{2}, index_t{66}}) {
      if (rows == 66 && shape.patch_size > 20) continue;
      const PatchData data(shape, rows, 3);
      on_every_executor(describe(shape, rows),
                        [&](device::Context& context) { return run(context, data, Layout::table).all(); });
    }
  });
}

// A row's bits are its own, so a batch may be cut anywhere.
TEST(PatchFilters, treat_each_row_alone) {
  device::Context context(1);
  for_all_shapes([&](const PatchFilterShape& shape) {
    const PatchData data(shape, 9, 4);
    PatchData last(shape, 1, 4);
    std::copy_n(data.samples.end() - shape.in_features(), shape.in_features(), last.samples.begin());
    last.weight = data.weight;
    last.bias = data.bias;
    const std::vector<float> of_last = run(context, last).out;
    const std::vector<float> of_all = run(context, data).out;
    EXPECT_TRUE(same_bits({of_all.end() - shape.outputs, of_all.end()}, of_last)) << describe(shape, 9);
  });
}

TEST(PatchFilters, have_the_known_values_of_one_filter_on_one_number) {
  device::Context context(1);
  const auto value_and_slope = [&](PatchActivation activation, float z) {
    PatchData data({1, 1, 1, 1, activation, false}, 1, 5);
    data.samples = {z};
    data.weight = {1.0F};
    data.d_out = {1.0F};
    const PatchRun got = run(context, data);
    return std::pair(got.out[0], got.d_weight[0] / z);
  };
  EXPECT_EQ(value_and_slope(PatchActivation::none, -3.0F), std::pair(-3.0F, 1.0F));
  EXPECT_EQ(value_and_slope(PatchActivation::relu, -3.0F), std::pair(0.0F, 0.0F));
  EXPECT_EQ(value_and_slope(PatchActivation::relu, 3.0F), std::pair(3.0F, 1.0F));
  EXPECT_EQ(value_and_slope(PatchActivation::cubic, -2.0F), std::pair(-8.0F, 12.0F));
  EXPECT_EQ(value_and_slope(PatchActivation::celu, 2.0F), std::pair(2.0F, 1.0F));
  EXPECT_NEAR(value_and_slope(PatchActivation::celu, -1.0F).first, std::exp(-1.0) - 1, 1e-7);
  EXPECT_NEAR(value_and_slope(PatchActivation::celu, -1.0F).second, std::exp(-1.0), 1e-7);
  EXPECT_NEAR(value_and_slope(PatchActivation::tanh, 0.5F).first, std::tanh(0.5), 2e-7);
  EXPECT_NEAR(value_and_slope(PatchActivation::gelu, 1.0F).first, 0.841192, 1e-6);
  // The limits, where a careless formula is infinity over infinity.
  for (const float z : {100.0F, 1e6F}) {
    EXPECT_EQ(value_and_slope(PatchActivation::tanh, z), std::pair(1.0F, 0.0F));
    EXPECT_EQ(value_and_slope(PatchActivation::tanh, -z).first, -1.0F);
    EXPECT_EQ(value_and_slope(PatchActivation::tanh, -z).second, 0.0F);
    EXPECT_EQ(value_and_slope(PatchActivation::gelu, z), std::pair(z, 1.0F));
    EXPECT_EQ(value_and_slope(PatchActivation::gelu, -z).first, 0.0F);
    EXPECT_EQ(value_and_slope(PatchActivation::gelu, -z).second, 0.0F);
    EXPECT_EQ(value_and_slope(PatchActivation::celu, z), std::pair(z, 1.0F));
    EXPECT_EQ(value_and_slope(PatchActivation::celu, -z).first, -1.0F);
  }
}

TEST(PatchFilters, pass_a_nan_on) {
  device::Context context(1);
  for (const PatchActivation activation : activations) {
    PatchData data({3, 4, 2, 2, activation, true}, 3, 6);
    data.samples[13] = std::numeric_limits<float>::quiet_NaN();  // of row 1
    const PatchRun got = run(context, data);
    for (index_t i = 0; i < 6; ++i) {
      EXPECT_EQ(std::isnan(got.out[static_cast<std::size_t>(i)]), i / 2 == 1)
          << "activation " << static_cast<int>(activation) << ", place " << i;
    }
  }
}

// Tiles of several sets, one without rows, in one call: each as alone, with the weights of its set.
TEST(PatchFilters, give_each_tile_its_own_bits) {
  const Tile tiles[] = {{0, 33, 33, 1}, {33, 0, 0, 0}, {33, 5, 2, 0}, {38, 64, 64, 1}};
  for_all_shapes([&](const PatchFilterShape& shape) {
    if (shape.units() > 20 || shape.patch_size > 20) return;
    const index_t width = shape.weight_count() + shape.bias_count();
    const PatchData data(shape, 102, 7);
    const std::vector<float> weight = random_values(2 * width, 8);
    // Tiles from number `first` on, whose set 0 is set `set`.
    struct Call {
      TileView view;
      index_t first, set;
    };
    const auto run = [&](device::Context& context, const std::vector<Call>& calls) {
      std::vector<float> out(as_size(102 * shape.outputs)), sums(as_size(102 * shape.patch_size)),
          filtered(as_size(102 * shape.filtered_patches() * shape.units())),
          gradients(as_size(4 * width), -1.0F);
      const PatchFilterRows rows{tensor::ConstMatrix(data.samples.data(), 102, shape.in_features()),
                                 {{sums.data(), 102, shape.patch_size},
                                  {filtered.data(), 102, shape.filtered_patches() * shape.units()}},
                                 {data.d_out.data(), 102, shape.outputs}};
      for (const auto& [view, first, set] : calls) {
        const float* const of_set = weight.data() + set * width;
        const OfSets<const float> bias(shape.bias ? of_set + shape.weight_count() : nullptr, width);
        patch_filters_forward(context, shape, view, rows, {{of_set, width}, bias},
                              {out.data(), 102, shape.outputs});
        std::vector<float> workspace(
            as_size(view.count * patch_filters_workspace_floats(shape, view.most_rows)), 9.0F);
        patch_filters_backward(context, shape, view, rows, workspace,
                               {gradients.data() + first * width, view.count, width});
      }
      out.insert(out.end(), gradients.begin(), gradients.end());
      return out;
    };
    const auto at_once = on_every_executor(describe(shape, 102), [&](device::Context& context) {
      return run(context, {{{tiles, 4, 64}, 0, 0}});
    });
    device::Context context(1);
    std::vector<Tile> of_one_set(std::begin(tiles), std::end(tiles));
    std::vector<Call> each;
    for (index_t t = 0; t < 4; ++t) {
      Tile& tile = of_one_set[as_size(t)];
      tile.set = 0;
      each.push_back({{&tile, 1, tile.rows}, t, tiles[t].set});
    }
    EXPECT_TRUE(same_bits(at_once, run(context, each))) << describe(shape, 102);
  });
}

TEST(PatchFilters, refuse_views_that_do_not_fit) {
  device::Context context(1);
  const PatchFilterShape shape{3, 4, 2, 2, PatchActivation::cubic, false};
  const std::vector<float> samples(24), weight(16);
  std::vector<float> z(24), out(4), workspace(16), d_weight(16);
  const Tile tile{0, 2, 2, 0};
  const TileView tiles{&tile, 1, 2};
  const tensor::ConstMatrix rows(samples.data(), 2, 12);
  const PatchFilterRecord record{{}, {z.data(), 2, 12}};
  const auto forward = [&](const PatchFilterShape& s, tensor::ConstMatrix x, const float* bias,
                           index_t outputs) {
    patch_filters_forward(context, s, tiles, {x, record}, {weight.data(), bias}, {out.data(), 2, outputs});
  };
  EXPECT_NO_THROW(forward(shape, rows, nullptr, 2));
  EXPECT_THROW(forward(shape, {samples.data(), 2, 11}, nullptr, 2), ContractViolation);
  EXPECT_THROW(forward(shape, rows, weight.data(), 2), ContractViolation);
  EXPECT_THROW(forward(shape, rows, nullptr, 1), ContractViolation);
  PatchFilterShape linear = shape;
  linear.activation = PatchActivation::none;
  EXPECT_THROW(forward(linear, rows, nullptr, 2), ContractViolation) << "no place for the sums";
  EXPECT_THROW(patch_filters_backward(context, shape, tiles, {rows, record, {out.data(), 2, 2}},
                                      std::span(workspace).first(15), {d_weight.data(), 1, 16}),
               ContractViolation);
}

}  // namespace
}  // namespace switchyard::ops
