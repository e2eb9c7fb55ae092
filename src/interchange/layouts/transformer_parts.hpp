// What the layouts of transformers have in common.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "interchange/layout.hpp"

namespace switchyard::interchange {

// Why no decoder-only transformer of that library is such a model; empty: it depends on the layout.
std::string transformer_misfit(const run::Config& config);
// Why no mixture of that library is such a one.
std::string mixture_misfit(const moe::Options& moe);
// A row's weights add up to 1: their softmax is over its experts alone.
bool weights_add_up(const moe::Options& moe);
// Experts that a row sees.
index_t slots(const moe::Options& moe);

// Embedding, attention, norms, and an lm_head where the embedding is not at both ends.
std::vector<Part> trunk_parts(const Subject& subject);
// Of a matrix of ours, [inputs, outputs]: these of its outputs.
Part transposed(std::string name, const Subject& subject, std::string path, IndexRange columns);
// Of a SwiGLU of ours at `path` ("parameters/blocks/00/feed_forward"), under three names below `name`.
struct SwigluNames {
  std::string_view gate, up, down;
};
inline constexpr SwigluNames projections = {"gate_proj", "up_proj", "down_proj"};
void add_swiglu(std::vector<Part>& parts, const std::string& name, const Subject& subject,
                const std::string& path, const SwigluNames& names = projections);

// The members that all of them read.
Json trunk_config(const Subject& subject, std::string_view model_type, std::string_view architecture);

}  // namespace switchyard::interchange
