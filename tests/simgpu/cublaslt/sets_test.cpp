// Rows of several sets, and convolutions, on the simulated device.
#include "conformance/ops/executors.hpp"
#include "ops/conv2d.hpp"
#include "ops/gpu_products.hpp"
#include "ops/tile_product.hpp"
#include "simgpu/cublaslt/products_fixture.hpp"

namespace switchyard::ops {
namespace {

// Sets whose matrices are large enough for the library, or small.
struct Sets {
  Sets(index_t n_in, index_t k_in)
      : n(n_in),
        k(k_in),
        a(random_values(rows * k, 1)),
        b(random_values(sets * n * k, 2)),
        bias(random_values(sets * n, 3)) {}

  static constexpr index_t sets = 3, rows = 6 * granule_rows;
  index_t n, k;
  DeviceArray<float> a, b, bias;

  std::vector<float> multiply(device::Context& context, const std::vector<SetRows>& list, Epilogue epilogue,
                              index_t sets_of_all_ranks = sets) {
    std::vector<std::int32_t> of_granule(6);
    for (const auto& [set, range] : list) {
      for (index_t row = range.begin; row < range.end; row += granule_rows)
        of_granule[as_size(row / granule_rows)] = static_cast<std::int32_t>(set);
    }
    DeviceArray<std::int32_t> on_device(of_granule);
    DeviceArray<float> c(std::vector<float>(as_size(rows * n)));
    set_products<float>(context,
                        {.n = n,
                         .k = k,
                         .sets_of_all_ranks = sets_of_all_ranks,
                         .transpose_b = Transpose::yes,
                         .epilogue = epilogue,
                         .a = a.data(),
                         .lda = k,
                         .b = b.data(),
                         .ldb = k,
                         .b_stride = n * k,
                         .bias = bias.data(),
                         .bias_stride = n,
                         .c = c.data(),
                         .ldc = n},
                        list, {on_device.data(), 0});
    return c.values(context);
  }
};

const std::vector<SetRows> alike = {{0, {0, 128}}, {1, {128, 256}}, {2, {256, 384}}};
const std::vector<SetRows> unlike = {{0, {0, 64}}, {1, {64, 192}}, {2, {192, 384}}};

std::vector<float> rows_of(const std::vector<float>& all, index_t n, IndexRange range) {
  return {all.begin() + range.begin * n, all.begin() + range.end * n};
}

TEST(GpuSets, of_small_matrices_are_one_launch) {
  on_new_thread([](device::Context& context) {
    Sets s(10, 64);
    for (const std::vector<SetRows>& list : {alike, unlike}) {
      const device::Counters before = context.counters();
      s.multiply(context, list, Epilogue::bias_relu);
      const device::Counters of_call = context.counters() - before;
      EXPECT_EQ(of_call.launches, 1);
      EXPECT_EQ(of_call.products, 0);
    }
  });
}

TEST(GpuSets, of_large_matrices_are_the_librarys) {
  on_new_thread([](device::Context& context) {
    Sets s(520, 512);
    const auto count = [&](const std::vector<SetRows>& list) {
      const device::Counters before = context.counters();
      s.multiply(context, list, Epilogue::bias_relu);
      return context.counters() - before;
    };
    EXPECT_EQ(count(alike).products, 1);
    EXPECT_EQ(count(alike).launches, 1);  // bias and ReLU
    EXPECT_EQ(count(unlike).products, 3);
    EXPECT_EQ(count(unlike).launches, 1);
    EXPECT_EQ(product_choices(context).size(), 1U);
  });
}

TEST(GpuSets, of_large_matrices_are_one_launch_where_a_model_has_many_sets) {
  on_new_thread([](device::Context& context) {
    Sets s(520, 512);
    for (const std::vector<SetRows>& list : {alike, unlike}) {
      const device::Counters before = context.counters();
      s.multiply(context, list, Epilogue::bias_relu, 64);
      const device::Counters of_call = context.counters() - before;
      EXPECT_EQ(of_call.launches, 1);
      EXPECT_EQ(of_call.products, 0);
    }
  });
}

// Of 1024 x 1024 weights, with 20, no and 130 rows: the last set is worth a call of the library.
TEST(GpuSets, have_gradients_in_one_launch_and_a_product_for_each_large_one) {
  on_new_thread([](device::Context& context) {
    const index_t side = 1024, rows = 150;
    DeviceArray<float> x(random_values(rows * side, 1)), y(random_values(rows * side, 2)),
        gradient(random_values(3 * side * side, 3));
    DeviceArray<Tile> tiles({{0, 20, 20, 0}, {20, 130, 130, 2}});
    DeviceArray<SetTiles> set_tiles({{0, 1, 20}, {1, 1, 0}, {1, 2, 130}});
    SetGradients<float> of{{x.data(), side, side, y.data(), side, side},
                           tiles.data(),
                           set_tiles.data(),
                           3,
                           gradient.data(),
                           side * side,
                           false};
    const std::vector<SetRows> all = {{0, {0, 20}}, {1, {20, 20}}, {2, {20, 150}}};
    const device::Counters before = context.counters();
    set_gradients(context, of, all);
    const device::Counters of_call = context.counters() - before;
    EXPECT_EQ(of_call.launches, 1);
    EXPECT_EQ(of_call.products, 1);
    const std::vector<float> together = gradient.values(context);
    for (const SetRows& one : all) {
      set_gradient(context, of, one);
      const std::vector<float> alone = gradient.values(context);
      for (index_t i = one.set * side * side; i < (one.set + 1) * side * side; ++i)
        ASSERT_NEAR(together[as_size(i)], alone[as_size(i)], 1e-3F) << "set " << one.set;
    }
  });
}

// Whatever sets are beside it, and however many rows they have: a rank may have any of them.
TEST(GpuSets, have_the_same_bits_together_and_alone) {
  on_new_thread([](device::Context& context) {
    for (const index_t n : {10, 520}) {
      Sets s(n, 512);
      for (const Epilogue epilogue : {Epilogue::none, Epilogue::bias, Epilogue::bias_relu}) {
        const std::vector<float> all = s.multiply(context, alike, epilogue);
        const std::vector<float> others = s.multiply(context, unlike, epilogue);
        // Rows 320 to 384 meet set 2 in both.
        EXPECT_TRUE(same_bits(rows_of(all, n, {320, 384}), rows_of(others, n, {320, 384})));
        for (const SetRows& one : alike) {
          const std::vector<float> alone = s.multiply(context, {one}, epilogue);
          EXPECT_TRUE(same_bits(rows_of(all, n, one.rows), rows_of(alone, n, one.rows))) << "n " << n;
        }
      }
    }
  });
}

TEST(GpuSets, equal_our_own_kernel) {
  on_new_thread([](device::Context& context) {
    Sets s(520, 512);
    const std::vector<float> by_library = s.multiply(context, unlike, Epilogue::bias_relu);
    const Products products("none");
    std::vector<float> by_us;
    std::thread([&] {
      device::Context other = device::Context::cuda(0);
      by_us = s.multiply(other, unlike, Epilogue::bias_relu);
    }).join();
    for (std::size_t i = 0; i < by_us.size(); ++i) ASSERT_NEAR(by_library[i], by_us[i], 1e-3F) << i;
  });
}

TEST(GpuSets, without_rows_are_left_out) {
  on_new_thread([](device::Context& context) {
    Sets s(520, 512);
    const std::vector<float> all = s.multiply(context, alike, Epilogue::bias);
    const std::vector<float> without =
        s.multiply(context, {{0, {0, 128}}, {1, {128, 128}}, {2, {256, 384}}}, Epilogue::bias);
    EXPECT_TRUE(same_bits(rows_of(all, 520, {0, 128}), rows_of(without, 520, {0, 128})));
    EXPECT_TRUE(same_bits(rows_of(all, 520, {256, 384}), rows_of(without, 520, {256, 384})));
    EXPECT_EQ(rows_of(without, 520, {128, 256}), std::vector<float>(as_size(128 * 520)));
    EXPECT_EQ(s.multiply(context, {{1, {128, 128}}}, Epilogue::bias), std::vector<float>(as_size(384 * 520)));
  });
}

TEST(GpuConv2d, equals_the_cpus) {
  const Conv2dShape s{.batch = 3,
                      .in_channels = 5,
                      .height = 9,
                      .width = 8,
                      .out_channels = 7,
                      .kernel_height = 3,
                      .kernel_width = 3,
                      .stride_height = 2,
                      .padding_height = 1,
                      .padding_width = 1};
  const auto x = random_values(s.in_count(), 1), weight = random_values(s.weight_count(), 2),
             bias = random_values(s.out_channels, 3), d_y = random_values(s.out_count(), 4);
  std::vector<float> y(d_y.size()), d_x(x.size()), d_weight(weight.size()), d_bias(bias.size());
  conv2d_forward(s, x.data(), weight.data(), bias.data(), y.data());
  conv2d_backward_data(s, d_y.data(), weight.data(), d_x.data());
  conv2d_backward_weights(s, x.data(), d_y.data(), d_weight.data(), d_bias.data());
  on_new_thread([&](device::Context& context) {
    DeviceArray<float> gx(x), gw(weight), gb(bias), gdy(d_y), gy(y), gdx(d_x), gdw(d_weight), gdb(d_bias);
    for (DeviceArray<float>* const result : {&gy, &gdx, &gdw, &gdb}) {
      const std::vector<float> values = result->values(context);
      *result = DeviceArray<float>(std::vector<float>(values.size(), -1.0F));
    }
    conv2d_forward(context, s, gx.data(), gw.data(), gb.data(), gy.data());
    conv2d_backward_data(context, s, gdy.data(), gw.data(), gdx.data());
    const Tile batch{0, 3, 3, 0};
    DeviceArray<Tile> tile({batch});
    DeviceArray<float> gradient(std::vector<float>(weight.size() + bias.size(), -1.0F));
    conv2d_backward_weights_of_tiles(context, s, TileView{tile.data(), 1, 3}, gx.data(), gdy.data(),
                                     {gradient.data(), 1, s.weight_count() + s.out_channels});
    const std::vector<float> both = gradient.values(context);
    gdw = DeviceArray<float>(std::vector<float>(both.begin(), both.begin() + s.weight_count()));
    gdb = DeviceArray<float>(std::vector<float>(both.begin() + s.weight_count(), both.end()));
    const auto expect_near = [&](DeviceArray<float>& got, const std::vector<float>& expected) {
      const std::vector<float> values = got.values(context);
      for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(values[i], expected[i], 1e-4F) << i;
    };
    expect_near(gy, y);
    expect_near(gdx, d_x);
    expect_near(gdw, d_weight);
    expect_near(gdb, d_bias);
    // An image alone.
    Conv2dShape one = s;
    one.batch = 1;
    const std::vector<float> all = gy.values(context);
    conv2d_forward(context, one, gx.data() + s.in_count() / 3, gw.data(), gb.data(), gy.data());
    const std::vector<float> alone = gy.values(context);
    const auto count = s.out_count() / 3;
    EXPECT_TRUE(same_bits(rows_of(all, count, {1, 2}), rows_of(alone, count, {0, 1})));
  });
}

}  // namespace
}  // namespace switchyard::ops
