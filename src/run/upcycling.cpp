#include "run/upcycling.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "nn/parameter.hpp"

namespace switchyard::run {
namespace {

constexpr std::string_view of_experts = "/mixture/experts/";
constexpr std::string_view of_dense = "/feed_forward/";
constexpr std::string_view of_gate = "/mixture/gate/";
constexpr std::string_view parameters = "parameters/";

// "parameters/blocks/01/feed_forward/glu/weight" of "blocks/01/mixture/experts/0003/glu/weight"; empty for what
// is of no such expert.
std::string dense_path_of(const std::string& name) {
  const std::size_t at = name.find(of_experts);
  if (at == name.npos) return {};
  const std::size_t slash = name.find('/', at + of_experts.size());
  return (std::string(parameters) + name.substr(0, at)).append(of_dense) + name.substr(slash + 1);
}

}  // namespace

void read_experts_from_dense(const Shapes& stored, std::vector<Held>& held) {
  for (Held& one : held) {
    if (stored.contains(one.path)) continue;
    if (std::string dense = dense_path_of(one.array.name); stored.contains(dense)) {
      one.path = std::move(dense);
      one.is_upcycled = true;
    }
  }
}

std::string expert_path_of(const std::string& dense_path) {
  const std::size_t at = dense_path.find(of_dense);
  return dense_path.substr(0, at).append(of_experts).append("0000/") + dense_path.substr(at + of_dense.size());
}

bool is_dense_in_place_of_mixture(const std::string& path, const std::vector<Held>& held) {
  const std::size_t at = path.find(of_dense);
  if (at == path.npos || !path.starts_with(parameters)) return false;
  const std::string gate = path.substr(parameters.size(), at - parameters.size()).append(of_gate);
  return std::ranges::any_of(held, [&](const Held& one) { return one.array.name.starts_with(gate); });
}

bool is_gate_in_place_of_dense(const std::string& name, const Shapes& stored) {
  const std::size_t at = name.find(of_gate);
  if (at == name.npos) return false;
  const std::string dense = (std::string(parameters) + name.substr(0, at)).append(of_dense);
  const auto found = stored.lower_bound(dense);
  return found != stored.end() && found->first.starts_with(dense);
}

void check_copies(const Shapes& stored, const std::vector<Held>& wanted, const std::vector<Held>& held) {
  const auto misfit = std::ranges::find_if(
      wanted, [&](const Held& one) { return one.is_upcycled && stored.at(one.path) != one.array.shape; });
  if (misfit == wanted.end()) return;
  const bool has_sub_heads = std::ranges::any_of(
      held, [](const Held& one) { return one.array.name.ends_with("/mixture/head/weight"); });
  const tensor::Shape &dense = stored.at(misfit->path), &expert = misfit->array.shape;
  if (const std::size_t width = misfit->path.ends_with("/glu/weight") ? 0 : 1;
      !has_sub_heads && dense[width] != expert[width]) {
    throw ConfigError(fmt::format(
        "its array '{}' has the shape {}, and this run's experts see rows of {} numbers; set transformer.width = {}",
        misfit->path, tensor::to_string(dense), expert[width], dense[width]));
  }
  throw ConfigError(fmt::format(
      "its array '{}' has the shape {}, and that of an expert which would begin as its copy {} ({}); {}",
      misfit->path, tensor::to_string(stored.at(misfit->path)), tensor::to_string(misfit->array.shape),
      has_sub_heads ? "with moe.sub_heads an expert sees a part of a token, and that network the whole"
                    : "experts are as wide as that network",
      has_sub_heads ? "set moe.sub_heads = 1" : "set moe.hidden to the transformer.hidden of that run"));
}

void vary_copies(const std::vector<Held>& held, double noise, std::uint64_t seed, std::uint32_t draw) {
  Vector<float> normal;
  for (const auto& [array, path, is_upcycled] : held) {
    if (!is_upcycled || noise == 0) continue;
    normal.resize(tensor::element_count(array.shape));
    // Another name than that of the first weights, which are another draw.
    nn::initialise(normal, array.name + "/upcycle", seed, 1, {nn::InitialValues::normal, noise, draw});
    for (index_t i = 0; i < std::ssize(normal); ++i) array.data[i] *= 1.0F + normal[i];
  }
}

}  // namespace switchyard::run
