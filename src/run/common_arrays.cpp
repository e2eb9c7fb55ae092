#include "run/common_arrays.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "config/messages.hpp"
#include "run/upcycling.hpp"

namespace switchyard::run {
namespace {

// Where a checkpoint holds a model's arrays.
constexpr std::array<std::string_view, 2> groups = {"parameters/", "buffers/"};

std::string parent_of(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  return slash == name.npos ? std::string() : name.substr(0, slash);
}

// "blocks/*/mixture/gate" of "blocks/00/mixture/gate".
std::string without_numbers(const std::string& name) {
  std::string pattern;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view word = std::string_view(name).substr(begin, end - begin);
    if (begin > 0) pattern += '/';
    pattern += word.find_first_not_of("0123456789") == word.npos ? "*" : word;
    begin = end + 1;
  }
  return pattern;
}

// Wholes come before their parts, and "blocks/*" before "blocks/00". Experts are not told apart.
Patterns layers_and_wholes(const Shapes& shared) {
  std::set<std::string> names;
  for (const auto& [path, shape] : shared) {
    for (std::string name = parent_of(name_of(path)); !name.empty(); name = parent_of(name)) {
      names.insert(without_numbers(name));
      if (expert_of(name + "/").empty()) names.insert(name);
    }
  }
  Patterns patterns;
  for (const std::string& name : names) patterns.emplace_back(name);
  return patterns;
}

}  // namespace

bool Held::fits(const Shapes& stored) const {
  const auto found = stored.find(path);
  return found != stored.end() && found->second == array.shape;
}

std::string name_of(const std::string& path) {
  for (const std::string_view group : groups) {
    if (path.starts_with(group)) return path.substr(group.size());
  }
  return {};
}

std::string network_of(const std::string& name) { return parent_of(parent_of(name)); }

std::string expert_of(const std::string& name) {
  constexpr std::string_view experts = "experts/";
  const std::size_t at = ("/" + name).find("/experts/");
  if (at == name.npos) return {};
  const std::size_t begin = at + experts.size();
  return name.substr(begin, name.find('/', begin) - begin);
}

Shapes arrays_in(const checkpoint::Reader& reader) {
  Shapes stored;
  for (const checkpoint::Slice& array : reader.arrays()) {
    if (!name_of(array.path).empty()) stored[array.path] = array.shape;
  }
  return stored;
}

std::vector<Held> arrays_of(model::Model& model) {
  std::vector<Held> held;
  for (const nn::NamedArray& array : model.parameters())
    held.push_back({array, std::string(groups[0]) + array.name});
  for (const nn::NamedArray& array : model.state())
    held.push_back({array, std::string(groups[1]) + array.name});
  return held;
}

Shapes shared_with(comm::Communicator& communicator, const Shapes& stored, const std::vector<Held>& held) {
  std::set<std::string> paths;
  for (const Held& one : held) paths.insert(one.path);
  Vector<std::int64_t> holders;
  for (const auto& [path, shape] : stored) holders.push_back(paths.contains(path) ? 1 : 0);
  communicator.all_reduce_sum(Span<std::int64_t>(holders));
  Shapes shared;
  auto holder = holders.begin();
  for (const auto& entry : stored) {
    if (*holder++ > 0) shared.insert(entry);
  }
  return shared;
}

std::string nearest_name(const Shapes& shared, const std::string& pattern) {
  std::set<std::string> names;
  for (const auto& [path, shape] : shared) {
    for (std::string name = name_of(path); !name.empty(); name = parent_of(name)) {
      names.insert(name);
      for (std::size_t slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1))
        names.insert(std::string("*").append(name, slash));
    }
  }
  const std::vector<std::string_view> candidates(names.begin(), names.end());
  return std::string(config::nearest(pattern, candidates));
}

std::string parts_that_fit(comm::Communicator& communicator, const Shapes& stored, const Shapes& shared,
                           const std::vector<Held>& held, const Patterns& patterns) {
  constexpr std::size_t longest_bytes = 200;
  Shapes named = shared;
  for (const auto& [path, shape] : stored) {
    if (is_dense_in_place_of_mixture(path, held)) named[expert_path_of(path)] = shape;
  }
  const Patterns candidates = layers_and_wholes(named);
  Vector<std::int64_t> misfits(std::ssize(candidates));
  const auto count_misfit = [&](const std::string& name) {
    for (std::size_t c = 0; c < candidates.size(); ++c) misfits[c] += candidates[c].matches(name) ? 1 : 0;
  };
  for (const Held& one : held) {
    if (!one.fits(stored) || !any_matches(patterns, one.array.name)) count_misfit(one.array.name);
  }
  communicator.all_reduce_sum(Span<std::int64_t>(misfits));
  for (const auto& [path, shape] : stored) {
    if (!shared.contains(path)) count_misfit(name_of(path));
  }
  Patterns fitting;
  std::string list;
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    if (misfits[c] > 0 || any_matches(fitting, candidates[c].text())) continue;
    fitting.push_back(candidates[c]);
    list += (list.empty() ? "" : ", ") + candidates[c].text();
  }
  return list.size() <= longest_bytes ? list : "";
}

}  // namespace switchyard::run
