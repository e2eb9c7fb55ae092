// The slow, obvious form of a 3x3 convolution, batch norm, ReLU and 2x2 max pooling, in float64. Shares nothing
// with src/ops.
#pragma once

#include <cstddef>
#include <vector>

namespace switchyard::reference {

using Doubles = std::vector<double>;

// Images are [rows][in_channels][height][width], weights [out_channels][in_channels][3][3], the convolution
// [rows][out_channels][conv_height][conv_width], pooled values
// [rows][out_channels][pooled_height][pooled_width].
struct ConvSizes {
  int rows = 0;
  int in_channels = 1;
  int height = 0;
  int width = 0;
  int out_channels = 1;
  int padding = 0;  // zeros around the image

  int conv_height() const { return height + 2 * padding - 2; }
  int conv_width() const { return width + 2 * padding - 2; }
  int pooled_height() const { return conv_height() / 2; }
  int pooled_width() const { return conv_width() / 2; }
  // The pixel under a weight, 0 in the padding.
  double pixel(const Doubles& images, int row, int channel, int y, int x) const;
  std::size_t image(int row, int channel, int y, int x) const;
  std::size_t weight(int out_channel, int in_channel, int ky, int kx) const;
  std::size_t place(int row, int channel, int y, int x) const;
  std::size_t pooled(int row, int channel, int y, int x) const;
  std::size_t weight_count() const;
  std::size_t place_count() const;   // over all rows and channels
  std::size_t pooled_count() const;  // over all rows and channels
};

Doubles convolve(const ConvSizes&, const Doubles& images, const Doubles& weight, const Doubles& bias);

struct Pooled {
  Doubles out;
  std::vector<int> argmax_place;  // 0 to 3, the first on ties
};
// Largest of each window, then ReLU.
Pooled pool(const ConvSizes&, const Doubles& places);
// The gradient at the places that pool read.
Doubles pool_backward(const ConvSizes&, const Pooled& pooled, const Doubles& d_out);

// Per channel over all rows and places.
struct Statistics {
  Doubles mean;
  Doubles centred_squares;  // sum of squared deviations
};
Statistics statistics(const ConvSizes&, const Doubles& places);
// y = scale_c * places + shift_c
Doubles affine(const ConvSizes&, const Doubles& places, const Doubles& scale, const Doubles& shift);

// Sums over rows and places of gradient * pixel, and of gradient.
struct ConvGradient {
  Doubles weight;
  Doubles bias;
};
ConvGradient convolve_backward(const ConvSizes&, const Doubles& images, const Doubles& d_places);

}  // namespace switchyard::reference
