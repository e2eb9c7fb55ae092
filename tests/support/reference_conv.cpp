#include "support/reference_conv.hpp"

#include "base/ids.hpp"

namespace switchyard::reference {
namespace {

std::size_t index4(int a, int b, int nb, int c, int nc, int d, int nd) {
  return ((static_cast<std::size_t>(a) * static_cast<std::size_t>(nb) + static_cast<std::size_t>(b)) *
              static_cast<std::size_t>(nc) +
          static_cast<std::size_t>(c)) *
             static_cast<std::size_t>(nd) +
         static_cast<std::size_t>(d);
}

// f(row, out_channel, y, x) for every place of the convolution.
template <class F>
void for_each_place(const ConvSizes& s, const F& f) {
  for (int row = 0; row < s.rows; ++row) {
    for (int c = 0; c < s.out_channels; ++c) {
      for (int y = 0; y < s.conv_height(); ++y) {
        for (int x = 0; x < s.conv_width(); ++x) f(row, c, y, x);
      }
    }
  }
}
// f(row, out_channel, y, x) for every window.
template <class F>
void for_each_window(const ConvSizes& s, const F& f) {
  for (int row = 0; row < s.rows; ++row) {
    for (int c = 0; c < s.out_channels; ++c) {
      for (int y = 0; y < s.pooled_height(); ++y) {
        for (int x = 0; x < s.pooled_width(); ++x) f(row, c, y, x);
      }
    }
  }
}
// f(in_channel, ky, kx) for every weight of one output channel.
template <class F>
void for_each_weight(const ConvSizes& s, const F& f) {
  for (int channel = 0; channel < s.in_channels; ++channel) {
    for (int ky = 0; ky < 3; ++ky) {
      for (int kx = 0; kx < 3; ++kx) f(channel, ky, kx);
    }
  }
}

}  // namespace

std::size_t ConvSizes::image(int row, int channel, int y, int x) const {
  return index4(row, channel, in_channels, y, height, x, width);
}
double ConvSizes::pixel(const Doubles& images, int row, int channel, int y, int x) const {
  if (y < 0 || y >= height || x < 0 || x >= width) return 0;
  return images[image(row, channel, y, x)];
}
std::size_t ConvSizes::weight(int out_channel, int in_channel, int ky, int kx) const {
  return index4(out_channel, in_channel, in_channels, ky, 3, kx, 3);
}
std::size_t ConvSizes::place(int row, int channel, int y, int x) const {
  return index4(row, channel, out_channels, y, conv_height(), x, conv_width());
}
std::size_t ConvSizes::pooled(int row, int channel, int y, int x) const {
  return index4(row, channel, out_channels, y, pooled_height(), x, pooled_width());
}
std::size_t ConvSizes::weight_count() const { return weight(out_channels, 0, 0, 0); }
std::size_t ConvSizes::place_count() const { return place(rows, 0, 0, 0); }
std::size_t ConvSizes::pooled_count() const { return pooled(rows, 0, 0, 0); }

Doubles convolve(const ConvSizes& s, const Doubles& images, const Doubles& weight, const Doubles& bias) {
  Doubles places(s.place_count());
  for_each_place(s, [&](int row, int c, int y, int x) {
    double sum = bias[as_size(c)];
    for_each_weight(s, [&](int channel, int ky, int kx) {
      sum += weight[s.weight(c, channel, ky, kx)] *
             s.pixel(images, row, channel, y + ky - s.padding, x + kx - s.padding);
    });
    places[s.place(row, c, y, x)] = sum;
  });
  return places;
}

Pooled pool(const ConvSizes& s, const Doubles& places) {
  Pooled result{Doubles(s.pooled_count()), std::vector<int>(s.pooled_count())};
  for_each_window(s, [&](int row, int c, int y, int x) {
    int argmax_place = 0;
    double best = places[s.place(row, c, 2 * y, 2 * x)];
    for (int place = 1; place < 4; ++place) {
      const double value = places[s.place(row, c, 2 * y + place / 2, 2 * x + place % 2)];
      if (value > best) {
        best = value;
        argmax_place = place;
      }
    }
    result.out[s.pooled(row, c, y, x)] = best > 0 ? best : 0;
    result.argmax_place[s.pooled(row, c, y, x)] = argmax_place;
  });
  return result;
}

Doubles pool_backward(const ConvSizes& s, const Pooled& pooled, const Doubles& d_out) {
  Doubles d_places(s.place_count(), 0.0);
  for_each_window(s, [&](int row, int c, int y, int x) {
    const std::size_t i = s.pooled(row, c, y, x);
    const int place = pooled.argmax_place[i];
    if (pooled.out[i] > 0) d_places[s.place(row, c, 2 * y + place / 2, 2 * x + place % 2)] = d_out[i];
  });
  return d_places;
}

Statistics statistics(const ConvSizes& s, const Doubles& places) {
  Statistics result{Doubles(as_size(s.out_channels), 0.0), Doubles(as_size(s.out_channels), 0.0)};
  const double n = static_cast<double>(s.rows * s.conv_height() * s.conv_width());
  for_each_place(
      s, [&](int row, int c, int y, int x) { result.mean[as_size(c)] += places[s.place(row, c, y, x)] / n; });
  for_each_place(s, [&](int row, int c, int y, int x) {
    const double deviation = places[s.place(row, c, y, x)] - result.mean[as_size(c)];
    result.centred_squares[as_size(c)] += deviation * deviation;
  });
  return result;
}

Doubles affine(const ConvSizes& s, const Doubles& places, const Doubles& scale, const Doubles& shift) {
  Doubles result(s.place_count());
  for_each_place(s, [&](int row, int c, int y, int x) {
    const std::size_t i = s.place(row, c, y, x);
    result[i] = scale[as_size(c)] * places[i] + shift[as_size(c)];
  });
  return result;
}

ConvGradient convolve_backward(const ConvSizes& s, const Doubles& images, const Doubles& d_places) {
  ConvGradient result{Doubles(s.weight_count(), 0.0), Doubles(as_size(s.out_channels), 0.0)};
  for_each_place(s, [&](int row, int c, int y, int x) {
    const double d = d_places[s.place(row, c, y, x)];
    result.bias[as_size(c)] += d;
    for_each_weight(s, [&](int channel, int ky, int kx) {
      result.weight[s.weight(c, channel, ky, kx)] +=
          d * s.pixel(images, row, channel, y + ky - s.padding, x + kx - s.padding);
    });
  });
  return result;
}

}  // namespace switchyard::reference
