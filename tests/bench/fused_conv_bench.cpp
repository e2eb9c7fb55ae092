// Time per image of the fused convolution on one core: bench_fused_conv [--benchmark_filter=...]. The counter
// `per_row` is what to read. The arguments are in channels, out channels, and the side of a square image.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "base/thread.hpp"
#include "ops/fused_conv.hpp"

namespace switchyard::ops {
namespace {

constexpr index_t rows = 64;  // one tile

// A tile of images, forward's result and a gradient for it.
struct Case {
  explicit Case(const benchmark::State& state)
      : shape{state.range(0), state.range(2), state.range(2), state.range(1), state.range(3)},
        images(fill(rows * shape.in_features())),
        weight(fill(shape.weight_count())),
        bias(fill(shape.out_channels)),
        gamma(fill(shape.out_channels)),
        out(fill(rows * shape.out_features())),
        d_out(fill(rows * shape.out_features())),
        argmax_place(out.size()),
        workspace(static_cast<std::size_t>(fused_conv_workspace_floats(shape, rows))),
        patch_sums(static_cast<std::size_t>(conv_patch_sums_count(shape))),
        moments(bias.size()),
        mean(bias.size()),
        inv_std(bias.size(), 1.0),
        mean_dy(bias.size()),
        sum_dy(2 * bias.size()),
        sum_dy_x(weight.size()),
        gradients(weight.size() + bias.size()) {
    forward();
    conv_patch_sums(context, shape, tiles(), source(), workspace, patch_sums);
  }

  static std::vector<float> fill(index_t count) {
    std::vector<float> values(static_cast<std::size_t>(count));
    float x = 0.3F;
    for (float& value : values) {
      x = 3.9F * x * (1.0F - x);  // the logistic map: chaotic enough for branches and denormals not to matter
      value = x - 0.5F;
    }
    return values;
  }
  tensor::RowSource source() const { return tensor::ConstMatrix(images.data(), rows, shape.in_features()); }
  PooledGradient pooled() const {
    const index_t cols = shape.out_features();
    return {{out.data(), rows, cols}, argmax_place.data(), {d_out.data(), rows, cols}};
  }
  TileView tiles() const { return {&tile, 1, rows}; }
  ConvTiles conv_tiles() { return {tiles(), source(), pooled(), workspace}; }
  tensor::Matrix gradient(std::size_t count) { return {gradients.data(), 1, static_cast<index_t>(count)}; }
  ConvBatchNormView batch_norm() const {
    return {weight.data(),
            bias.data(),
            {mean.data(), inv_std.data(), gamma.data(), mean_dy.data(), mean_dy.data()}};
  }
  ConvTileSums sums() { return {patch_sums, sum_dy, sum_dy_x}; }
  void forward() {
    fused_conv_forward(context, shape, tiles(), source(),
                       {weight.data(), bias.data(), {gamma.data(), bias.data()}},
                       {tensor::Matrix(out.data(), rows, shape.out_features()), argmax_place.data()});
  }

  device::Context context{1};
  FusedConvShape shape;
  std::vector<float> images, weight, bias, gamma, out, d_out;
  std::vector<std::uint8_t> argmax_place;
  std::vector<float> workspace;
  std::vector<double> patch_sums;
  std::vector<Moments> moments;
  std::vector<double> mean, inv_std, mean_dy, sum_dy, sum_dy_x;
  std::vector<float> gradients;
  ops::Tile tile{0, rows, rows, 0};
};

template <class Call>
void measure(benchmark::State& state, const Call& call) {
  Case tile(state);
  for (auto _ : state) {
    call(tile);
    benchmark::ClobberMemory();
  }
  state.counters["per_row"] = benchmark::Counter(static_cast<double>(rows * state.iterations()),
                                                 benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void moments(benchmark::State& state) {
  measure(state, [](Case& t) {
    conv_patch_sums(t.context, t.shape, t.tiles(), t.source(), t.workspace, t.patch_sums);
    conv_moments(t.context, t.shape, t.tiles(), t.patch_sums, {t.weight.data(), t.bias.data()}, t.moments);
  });
}
void forward(benchmark::State& state) {
  measure(state, [](Case& t) { t.forward(); });
}
void backward(benchmark::State& state) {
  measure(state, [](Case& t) {
    fused_conv_backward(t.context, t.shape, t.conv_tiles(), t.gradient(t.gradients.size()));
  });
}
void bn_backward_sums(benchmark::State& state) {
  measure(state, [](Case& t) {
    fused_conv_bn_backward_sums(t.context, t.shape, t.conv_tiles(), t.batch_norm(), t.sums());
  });
}
void bn_backward(benchmark::State& state) {
  measure(state, [](Case& t) {
    fused_conv_bn_backward(t.context, t.shape, t.tiles(), t.batch_norm(), t.sums(),
                           t.gradient(t.weight.size()));
  });
}

void shapes(benchmark::internal::Benchmark* bench) {
  for (const auto& sizes :
       {std::vector<std::int64_t>{1, 1, 28, 0}, {1, 8, 28, 0}, {3, 8, 32, 0}, {3, 16, 32, 1}, {3, 64, 32, 1}}) {
    bench->Args(sizes);  // in channels, out channels, height and width, padding
  }
  bench->Unit(benchmark::kMicrosecond);
}
BENCHMARK(moments)->Apply(shapes);
BENCHMARK(forward)->Apply(shapes);
BENCHMARK(backward)->Apply(shapes);
BENCHMARK(bn_backward_sums)->Apply(shapes);
BENCHMARK(bn_backward)->Apply(shapes);

}  // namespace
}  // namespace switchyard::ops

int main(int argc, char** argv) {
  switchyard::flush_denormals_to_zero();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
