#include "support/reference_network.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "base/ids.hpp"
#include "support/reference_patches.hpp"

namespace switchyard::reference {
namespace {

// A convolution and what follows it, as the text of the network says.
struct Convolution {
  std::int64_t in_channels, height, width, out_channels;
  std::int64_t padding;
  bool batch_norm = false, relu = false, max_pool = false;
  std::int64_t kernel = 3, stride = 1;
  bool depthwise = false;
  double most = std::numeric_limits<double>::infinity();  // that relu lets through

  std::int64_t out(std::int64_t size) const { return (size + 2 * padding - kernel) / stride + 1; }
  std::int64_t out_height() const { return out(height); }
  std::int64_t out_width() const { return out(width); }
};

// [out_channels][out_height][out_width] of every image. An empty bias is none.
std::vector<Values> convolve(const Convolution& conv, const std::vector<Values>& images, const Values& weight,
                             const Values& bias) {
  const auto pixel = [&](const Values& image, std::int64_t c, std::int64_t y, std::int64_t x) {
    const bool inside = y >= 0 && y < conv.height && x >= 0 && x < conv.width;
    return inside ? image[as_size((c * conv.height + y) * conv.width + x)] : 0.0;
  };
  std::vector<Values> results;
  for (const Values& image : images) {
    Values out;
    for (std::int64_t o = 0; o < conv.out_channels; ++o)
      for (std::int64_t y = 0; y < conv.out_height(); ++y)
        for (std::int64_t x = 0; x < conv.out_width(); ++x) {
          double sum = bias.empty() ? 0.0 : bias[as_size(o)];
          const std::int64_t seen = conv.depthwise ? 1 : conv.in_channels;
          for (std::int64_t c = 0; c < seen; ++c)
            for (std::int64_t dy = 0; dy < conv.kernel; ++dy)
              for (std::int64_t dx = 0; dx < conv.kernel; ++dx)
                sum += weight[as_size(((o * seen + c) * conv.kernel + dy) * conv.kernel + dx)] *
                       pixel(image, conv.depthwise ? o : c, y * conv.stride + dy - conv.padding,
                             x * conv.stride + dx - conv.padding);
          out.push_back(sum);
        }
    results.push_back(std::move(out));
  }
  return results;
}

void batch_norm(std::vector<Values>& rows, std::int64_t channels, const Values& gamma, const Values& beta) {
  if (rows.empty()) return;  // an expert without samples
  const std::int64_t places = static_cast<std::int64_t>(rows[0].size()) / channels;
  for (std::int64_t c = 0; c < channels; ++c) {
    double mean = 0;
    double variance = 0;
    const double count = static_cast<double>(rows.size()) * static_cast<double>(places);
    for (const Values& row : rows)
      for (std::int64_t p = 0; p < places; ++p) mean += row[as_size(c * places + p)] / count;
    for (const Values& row : rows)
      for (std::int64_t p = 0; p < places; ++p)
        variance += std::pow(row[as_size(c * places + p)] - mean, 2) / count;
    for (Values& row : rows)
      for (std::int64_t p = 0; p < places; ++p) {
        double& z = row[as_size(c * places + p)];
        z = gamma[as_size(c)] * (z - mean) / std::sqrt(variance + 1e-5) + beta[as_size(c)];
      }
  }
}

Values relu_pool(const Convolution& conv, Values in) {
  if (conv.relu)
    for (double& value : in) value = std::clamp(value, 0.0, conv.most);
  if (!conv.max_pool) return in;
  const std::int64_t height = conv.out_height();
  const std::int64_t width = conv.out_width();
  Values out;
  for (std::int64_t c = 0; c < conv.out_channels; ++c)
    for (std::int64_t y = 0; y + 1 < height; y += 2)
      for (std::int64_t x = 0; x + 1 < width; x += 2) {
        double best = -std::numeric_limits<double>::infinity();
        for (std::int64_t dy = 0; dy < 2; ++dy)
          for (std::int64_t dx = 0; dx < 2; ++dx)
            best = std::max(best, in[as_size((c * height + y + dy) * width + x + dx)]);
        out.push_back(best);
      }
  return out;
}

// The squares of an image, one behind the other.
Values cut(const nn::PatchFiltersShape& s, const Values& image) {
  Values patches;
  for (std::int64_t top = 0; top < s.image.height; top += s.side)
    for (std::int64_t left = 0; left < s.image.width; left += s.side)
      for (std::int64_t c = 0; c < s.image.channels; ++c)
        for (std::int64_t y = top; y < top + s.side; ++y)
          for (std::int64_t x = left; x < left + s.side; ++x)
            patches.push_back(image[as_size((c * s.image.height + y) * s.image.width + x)]);
  return patches;
}

// A network on some rows, layer by layer.
struct Run {
  const std::string& name;
  const Parameters& parameters;
  std::vector<Values> rows;
  std::vector<Values> skip = {};            // added before the next activation; empty: none
  std::map<std::string, int> numbers = {};  // of the layers of a kind so far

  std::string path(const std::string& kind) {
    return name + '/' + kind + '_' + std::to_string(++numbers[kind]);
  }
  const Values& of(const std::string& path, const char* array) const {
    return parameters.at(path + '/' + array);
  }

  void layer(const Convolution& conv) {
    const std::string at = path("conv");
    const bool has_bias = !conv.batch_norm || (conv.padding == 0 && conv.kernel == 3);
    rows = convolve(conv, rows, of(at, "weight"), has_bias ? of(at, "bias") : Values{});
    if (conv.batch_norm) {
      const std::string norm = path("batch_norm");
      batch_norm(rows, conv.out_channels, of(norm, "gamma"), of(norm, "beta"));
    }
    for (std::size_t n = 0; n < skip.size(); ++n)
      for (std::size_t i = 0; i < rows[n].size(); ++i) rows[n][i] += skip[n][i];
    for (Values& row : rows) row = relu_pool(conv, std::move(row));
  }
  void operator()(const nn::ConvStageShape& s) {
    layer({s.in_channels, s.height, s.width, s.out_channels, s.padding, s.batch_norm, true, true});
  }
  void operator()(const nn::PaddedConvShape& s) {
    Convolution conv{s.in_channels, s.height, s.width, s.out_channels, s.kernel / 2, s.batch_norm};
    conv.relu = s.activation != ops::ImageActivation::none;
    if (s.activation == ops::ImageActivation::relu6) conv.most = 6;
    conv.max_pool = s.max_pool;
    conv.kernel = s.kernel;
    conv.stride = s.stride;
    conv.depthwise = s.depthwise;
    layer(conv);
  }
  void operator()(const nn::GlobalAveragePoolShape& s) {
    for (Values& row : rows) {
      Values means;
      for (std::int64_t c = 0; c < s.image.channels; ++c) {
        const auto first = row.begin() + c * s.image.places;
        means.push_back(std::accumulate(first, first + s.image.places, 0.0) /
                        static_cast<double>(s.image.places));
      }
      row = std::move(means);
    }
  }
  void operator()(const nn::PatchFiltersShape& s) {
    const std::string at = path("patch_filters");
    for (Values& row : rows) {
      if (s.side > 0) row = cut(s, row);
      row = patch_filters(s, row, of(at, "weight"), s.bias ? of(at, "bias") : Values{});
    }
  }
  void operator()(const nn::DenseShape& s) {
    if (s.name == "query" || s.name == "key") return;  // layers of attention are not run
    const std::string at = s.name.empty() ? path("dense") : name + '/' + std::string(s.name);
    const Values& weight = of(at, "weight");
    const Values bias = s.bias ? of(at, "bias") : Values(as_size(s.out));
    for (Values& row : rows) {
      Values out(as_size(s.out));
      for (std::int64_t o = 0; o < s.out; ++o) {
        double sum = bias[as_size(o)];
        for (std::int64_t i = 0; i < s.in; ++i) sum += row[as_size(i)] * weight[as_size(i * s.out + o)];
        out[as_size(o)] = s.relu ? std::max(sum, 0.0) : sum;
      }
      row = std::move(out);
    }
  }
  void operator()(const nn::CosineShape& s) {
    const std::string at = path("cosine");
    const Values& weight = of(at, "weight");
    const auto length = [](const double* v, std::int64_t n) {
      double square = 1e-6;
      for (std::int64_t i = 0; i < n; ++i) square += v[i] * v[i];
      return std::sqrt(square);
    };
    const double scale = std::exp(of(at, "log_scale")[0]) / s.temperature;
    for (Values& row : rows) {
      Values out(as_size(s.out));
      for (std::int64_t o = 0; o < s.out; ++o) {
        const double* const vector = weight.data() + o * s.in;
        for (std::int64_t i = 0; i < s.in; ++i) out[as_size(o)] += row[as_size(i)] * vector[i];
        out[as_size(o)] *= scale / (length(row.data(), s.in) * length(vector, s.in));
      }
      row = std::move(out);
    }
  }
  void operator()(const nn::TernaryShape& s) const {
    throw std::logic_error(std::string(s.name) + ": no model of samples has one");
  }
  void operator()(const nn::RowFunctionShape& s) {
    if (s.kind == nn::RowFunctionShape::Kind::log_softmax) return;  // the loss says what it is of
    for (Values& row : rows)
      for (double& value : row) value = std::max(value, 0.0);
  }
};

}  // namespace

Values product(const Values& x, const Values& weight, std::int64_t outputs) {
  Values y(as_size(outputs));
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::int64_t o = 0; o < outputs; ++o)
      y[as_size(o)] += x[i] * weight[i * as_size(outputs) + as_size(o)];
  return y;
}

std::vector<Values> run(const nn::NetworkShape& shape, const std::string& name, const Parameters& parameters,
                        std::vector<Values> rows, std::vector<Values>* hidden, std::int64_t layers) {
  Run network{name, parameters, std::move(rows)};
  std::vector<std::vector<Values>> outputs;
  for (std::size_t i = 0; i < shape.layers.size() && static_cast<std::int64_t>(i) < layers; ++i) {
    const auto links = shape.links.find(i);
    const nn::LayerLinks of_layer = links == shape.links.end() ? nn::LayerLinks() : links->second;
    if (of_layer.input) network.rows = outputs[*of_layer.input];
    network.skip = of_layer.skip ? outputs[*of_layer.skip] : std::vector<Values>();
    std::visit(network, shape.layers[i]);
    outputs.push_back(network.rows);
    if (hidden != nullptr && shape.shown == i) *hidden = network.rows;
  }
  return network.rows;
}

}  // namespace switchyard::reference
