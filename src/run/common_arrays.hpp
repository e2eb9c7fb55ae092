// What a checkpoint and a model have in common, by the names of arrays.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.hpp"
#include "comm/communicator.hpp"
#include "config/name_pattern.hpp"
#include "model/model.hpp"

namespace switchyard::run {

using Patterns = std::vector<config::NamePattern>;
// By path: "parameters/experts/0003/dense_1/weight".
using Shapes = std::map<std::string, tensor::Shape>;

// An array of the model, and where a checkpoint holds it.
struct Held {
  nn::NamedArray array;
  std::string path;
  bool is_upcycled = false;  // of that array, which is another one's (run/upcycling.hpp)

  bool fits(const Shapes& stored) const;
};

// "experts/0003/dense_1/weight" of "parameters/experts/0003/dense_1/weight"; empty for what is no model's.
std::string name_of(const std::string& path);
// "experts/0003" of "experts/0003/dense_1/weight".
std::string network_of(const std::string& name);
// "0003" of "experts/0003/dense_1/weight" and of "blocks/00/mixture/experts/0003/dense_1/weight"; empty for
// what is of no expert.
std::string expert_of(const std::string& name);

// Those of its model alone.
Shapes arrays_in(const checkpoint::Reader& reader);
// Those that this rank holds: parameters and running statistics, where they lie for its context.
std::vector<Held> arrays_of(model::Model& model);

// The stored arrays whose paths are also of the model, on whichever rank, with the shapes of the file.
// Collective.
Shapes shared_with(comm::Communicator& communicator, const Shapes& stored, const std::vector<Held>& held);

// The name, or a part of one, that is most like the pattern: "experts", or "*/experts" where each of several
// layers has some.
std::string nearest_name(const Shapes& shared, const std::string& pattern);

// Patterns of names within `patterns` that would be read whole: run and file have the same arrays there, of the
// same shapes. Empty: there are none, or too many to list. Collective.
std::string parts_that_fit(comm::Communicator& communicator, const Shapes& stored, const Shapes& shared,
                           const std::vector<Held>& held, const Patterns& patterns);

}  // namespace switchyard::run
