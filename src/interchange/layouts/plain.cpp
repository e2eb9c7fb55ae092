#include <algorithm>

#include "interchange/layouts/table.hpp"

namespace switchyard::interchange {

std::string plain_misfit(const run::Config&) { return {}; }

std::vector<Part> plain_parts(const Subject& subject) {
  std::vector<Part> parts;
  for (const auto& [path, shape] : subject.arrays) {
    const std::string parameter = "parameters/";
    std::string name = path.starts_with(parameter) ? path.substr(parameter.size()) : path;
    std::ranges::replace(name, '/', '.');
    parts.push_back({std::move(name), shape, path});
  }
  return parts;
}

}  // namespace switchyard::interchange
