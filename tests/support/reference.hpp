// What every fast op is compared with: the textbook formula in float64, one loop per sum, no thought for speed.
// Shares nothing with src/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace switchyard::testing::reference {

// rows x cols, dense.
struct Array {
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::vector<double> values;

  Array() = default;
  Array(std::size_t rows_in, std::size_t cols_in)
      : rows(rows_in), cols(cols_in), values(rows_in * cols_in, 0.0) {}
  double& operator()(std::size_t r, std::size_t c) { return values[r * cols + c]; }
  double operator()(std::size_t r, std::size_t c) const { return values[r * cols + c]; }
};

Array transposed(const Array& a);
Array matmul(const Array& a, const Array& b);
// The largest sum over k of |a| |b| of any element: what rounding errors of a product are relative to.
double matmul_magnitude(const Array& a, const Array& b);

Array softmax(const Array& logits);
Array log_softmax(const Array& logits);
// Columns of the k largest of each row, largest first, ties to the lower column.
std::vector<std::vector<int>> top_k(const Array& logits, std::size_t k);
std::vector<double> column_sums(const Array& x);

// The mixture of ops/moe/mixture.hpp. Row n of `experts` names the experts in sample n's slots.
struct MixtureCase {
  Array gate_logits;                      // [N, E]
  std::vector<std::vector<int>> experts;  // [N][K]
  std::vector<Array> log_probs;           // [N] of [K, C]
  std::vector<int> labels;                // [N]
};
struct MixtureResult {
  Array weights;                  // [N, K]
  Array probabilities;            // [N, C]
  std::vector<double> losses;     // [N]
  Array posteriors;               // [N, K]
  std::vector<int> predicted;     // [N]
  std::vector<double> entropies;  // [N], bits
};
MixtureResult mixture(const MixtureCase& c);

// One sample's scores by attention: u . h_i / sqrt(d) of a vector u of d and hidden vectors h, [E][d] flat.
std::vector<double> attention_scores(const std::vector<double>& u, const std::vector<double>& h);

// Dense NCHW arrays.
struct ConvCase {
  int batch, in_channels, height, width, out_channels, kernel_height, kernel_width;
  int stride_height, stride_width, padding_height, padding_width;
  int out_height() const { return (height + 2 * padding_height - kernel_height) / stride_height + 1; }
  int out_width() const { return (width + 2 * padding_width - kernel_width) / stride_width + 1; }
};
std::vector<double> conv2d(const ConvCase& c, const std::vector<double>& x, const std::vector<double>& weight,
                           const std::vector<double>& bias);
// The gradients of sum(y * d_y).
struct ConvGradients {
  std::vector<double> x, weight, bias;
};
ConvGradients conv2d_gradients(const ConvCase& c, const std::vector<double>& x,
                               const std::vector<double>& weight, const std::vector<double>& d_y);

struct AdamState {
  double w, m, v;
};
// Step number t, from 1.
AdamState adam(AdamState s, double gradient, double rate, double beta1, double beta2, double epsilon,
               double decay, double scale, int t);
// AdamW as PyTorch documents it: the weight shrinks by rate * decay, then Adam steps.
AdamState adamw(AdamState s, double gradient, double rate, double beta1, double beta2, double epsilon,
                double decay, double scale, int t);
struct SgdState {
  double w, u;
};
SgdState sgd(SgdState s, double gradient, double rate, double momentum, double decay, double scale);

}  // namespace switchyard::testing::reference
