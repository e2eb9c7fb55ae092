// The load that a noisy top-k gate is expected to give each expert (Shazeer et al. 2017, equations 8 to 10).
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "device/context.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// Of a sample with clean scores c, scores with normal noise z = c + r, and K slots: the probability that
// expert e is among the K if only its own noise is drawn anew,
//   P_e = Phi((c_e - z_t) / s),  t the expert with the K-th largest noisy score of the others:
// of a chosen expert the best one that was not chosen, of any other the last one that was.
struct ExpectedLoad {
  tensor::ConstMatrix clean;              // [N, E]
  tensor::ConstMatrix noisy;              // [N, E]
  const std::int32_t* experts = nullptr;  // [N, K] as ops::top_k gives them for the noisy scores
  index_t slots = 0;                      // K, below E
  float deviation = 1;                    // s, of the noise
};

// chances(n, e) = P_e of sample n: [N, E].
void expected_load(device::Context&, const ExpectedLoad&, tensor::Matrix chances);

// d_scores += the gradient of sum_n sum_e g_e P_ne by the clean scores, with the noise held fixed. The
// threshold is a score as well (z_t = c_t + r_t), and gradient flows into it, as in the code of Shazeer et al.:
//   d c_e += g_e phi_e / s,  d c_t(e) -= g_e phi_e / s,  phi the normal density. Each row's sum is 0.
void expected_load_backward(device::Context&, const ExpectedLoad&, Span<const double> gradient,
                            tensor::Matrix d_scores);

}  // namespace switchyard::ops
