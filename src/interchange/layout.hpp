// The layouts in which other programs hold a model.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/partition.hpp"
#include "base/span.hpp"
#include "run/common_arrays.hpp"
#include "run/config.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::interchange {

using Json = nlohmann::ordered_json;

// A model as checkpoints hold it: its configuration, and its arrays by path.
struct Subject {
  const run::Config& config;
  const run::Shapes& arrays;
};

// An array of another program, and which numbers of ours it holds.
struct Part {
  std::string name;       // there
  tensor::Shape shape;    // there
  std::string path = {};  // of ours; empty: it is zeros
  // Of ours, [inputs, outputs], it holds these columns as rows. Empty: all of it as it lies.
  IndexRange columns = {};
  float factor = 1;  // a power of two, so that no bit is lost: there, numbers are so many times ours
};

struct Layout {
  std::string_view name;  // as --layout says it
  // Why a model of that configuration is none, with the key that says so; empty: it may be one.
  std::string (*misfit)(const run::Config&);
  std::vector<Part> (*parts)(const Subject&);
  // What config.json says of the model's arithmetic: a file that says otherwise holds another function. Null:
  // there is no config.json.
  Json (*config)(const Subject&);
  // A part of a name that no layout before it in the table has.
  std::string_view mark;
};

Span<const Layout> layouts();
// Of --layout=`name`. Throws ConfigError, with those that there are.
const Layout& layout_of(std::string_view name);

// Why the model is none of that layout: its configuration, or an array without a place there; empty: it is one.
std::string misfit(const Layout& layout, const Subject& subject);

}  // namespace switchyard::interchange
