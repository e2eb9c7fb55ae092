// Experts that begin as copies of a dense model's feed-forward network (Komatsuzaki et al. 2022).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "run/common_arrays.hpp"

namespace switchyard::run {

// Where the file has a feed-forward network and this model a mixture, of every expert: its arrays are read from
// that network. Local.
void read_experts_from_dense(const Shapes& stored, std::vector<Held>& held);

// Where an expert would begin as a copy of what lies at that path:
// "parameters/blocks/01/mixture/experts/0000/glu/weight".
std::string expert_path_of(const std::string& dense_path);

// Whether that path of the file is of such a network: every rank has the gate of the mixture. Local.
bool is_dense_in_place_of_mixture(const std::string& path, const std::vector<Held>& held);

// Whether the file has a feed-forward network in the place of the mixture whose gate has that array: nothing of
// the gate is there to be read.
bool is_gate_in_place_of_dense(const std::string& name, const Shapes& stored);

// ConfigError unless the copies in `wanted` have the shapes of what they are of. `held`: the whole model.
void check_copies(const Shapes& stored, const std::vector<Held>& wanted, const std::vector<Held>& held);

// Copies would stay alike where the gate sends them the same rows: w becomes w (1 + noise n), n normal, a
// function of (seed, draw, the array's name, place). Local; of arrays on the host.
void vary_copies(const std::vector<Held>& held, double noise, std::uint64_t seed, std::uint32_t draw);

}  // namespace switchyard::run
