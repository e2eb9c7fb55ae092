#include "interchange/layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/error.hpp"
#include "config/messages.hpp"
#include "interchange/layouts/table.hpp"

namespace switchyard::interchange {
namespace {

// In the order in which --layout=auto tries them.
constexpr std::array table = {mixtral, qwen2_moe, llama, plain};

}  // namespace

Span<const Layout> layouts() { return table; }

const Layout& layout_of(std::string_view name) {
  const auto found = std::ranges::find(table, name, &Layout::name);
  if (found != table.end()) return *found;
  std::vector<std::string_view> names = {"auto"};
  for (const Layout& layout : table) names.push_back(layout.name);
  throw ConfigError(
      fmt::format("--layout={} is no layout (there are {}); try --layout=auto", name, fmt::join(names, ", ")));
}

std::string misfit(const Layout& layout, const Subject& subject) {
  if (std::string reason = layout.misfit(subject.config); !reason.empty()) return reason;
  std::map<std::string, index_t> left;  // numbers of ours without a place
  for (const auto& [path, shape] : subject.arrays) left[path] = tensor::element_count(shape);
  for (const Part& part : layout.parts(subject)) {
    if (!part.path.empty()) left[part.path] -= tensor::element_count(part.shape);
  }
  for (const auto& [path, numbers] : left) {
    if (numbers > 0) return fmt::format("its array '{}' has no place there", path);
    if (numbers < 0) return fmt::format("it has no array '{}' of that size", path);
  }
  return {};
}

}  // namespace switchyard::interchange
