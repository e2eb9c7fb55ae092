#include "run/inherited_weights.hpp"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <map>
#include <set>

#include "base/error.hpp"
#include "checkpoint/checkpoint.hpp"
#include "comm/agreement.hpp"
#include "config/messages.hpp"
#include "config/name_pattern.hpp"
#include "files/regular_file.hpp"
#include "run/run_checkpoint.hpp"

namespace switchyard::run {
namespace {

using Patterns = std::vector<config::NamePattern>;

// An array of the model, and where a checkpoint holds it.
struct Wanted {
  nn::NamedArray array;
  std::string path;
};

// What init.parts names: the arrays that this rank holds, and counts over all ranks.
struct Selection {
  std::vector<Wanted> wanted;
  Vector<std::int64_t> matches;  // per pattern
  std::int64_t unread = 0;       // arrays that no pattern matches
  std::int64_t experts = 0;
};

// Where a checkpoint holds a model's arrays.
constexpr std::array<std::string_view, 2> groups = {"parameters/", "buffers/"};

// "experts/0003/dense_1/weight" of "parameters/experts/0003/dense_1/weight"; empty for what is no model's.
std::string name_of(const std::string& path) {
  for (const std::string_view group : groups) {
    if (path.starts_with(group)) return path.substr(group.size());
  }
  return {};
}

std::string parent_of(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  return slash == name.npos ? std::string() : name.substr(0, slash);
}

// "experts/0003" of "experts/0003/dense_1/weight".
std::string network_of(const std::string& name) { return parent_of(parent_of(name)); }

// "0003" of "experts/0003/dense_1/weight" and of "blocks/00/mixture/experts/0003/dense_1/weight"; empty for
// what is of no expert.
std::string expert_of(const std::string& name) {
  constexpr std::string_view experts = "experts/";
  const std::size_t at = ("/" + name).find("/experts/");
  if (at == name.npos) return {};
  const std::size_t begin = at + experts.size();
  return name.substr(begin, name.find('/', begin) - begin);
}

// Collective.
Selection select(comm::Communicator& communicator, model::Model& model, const Patterns& patterns) {
  Selection selection;
  selection.matches.resize(patterns.size());
  std::set<std::string> experts;
  const auto add = [&](const std::vector<nn::NamedArray>& arrays, std::string_view group) {
    for (const nn::NamedArray& array : arrays) {
      for (std::size_t p = 0; p < patterns.size(); ++p)
        selection.matches[p] += patterns[p].matches(array.name) ? 1 : 0;
      if (!any_matches(patterns, array.name)) {
        ++selection.unread;
        continue;
      }
      selection.wanted.push_back({array, std::string(group) + array.name});
      if (std::string expert = expert_of(array.name); !expert.empty()) experts.insert(std::move(expert));
    }
  };
  add(model.parameters(), groups[0]);
  add(model.state(), groups[1]);
  selection.experts = std::ssize(experts);
  communicator.all_reduce_sum(Span<std::int64_t>(selection.matches));
  communicator.all_reduce_sum(Span<std::int64_t>(&selection.unread, 1));
  communicator.all_reduce_sum(Span<std::int64_t>(&selection.experts, 1));
  return selection;
}

// The name in the file, or the leading part of one, that is most like the pattern.
std::string nearest_name(const std::map<std::string, tensor::Shape>& stored, const std::string& pattern) {
  std::set<std::string> names;
  for (const auto& [path, shape] : stored) {
    for (std::string name = name_of(path); !name.empty(); name = parent_of(name)) names.insert(name);
  }
  const std::vector<std::string_view> candidates(names.begin(), names.end());
  return std::string(config::nearest(pattern, candidates));
}

void check_expert_count(const std::map<std::string, tensor::Shape>& stored, const Patterns& patterns,
                        index_t expected) {
  std::set<std::string> found;
  for (const auto& [path, shape] : stored) {
    const std::string name = name_of(path);
    if (std::string expert = expert_of(name); !expert.empty() && any_matches(patterns, name))
      found.insert(std::move(expert));
  }
  if (std::ssize(found) == expected) return;
  throw ConfigError(
      fmt::format("it holds {} experts, and this run has {} (every expert is read by its number); set "
                  "moe.experts = {}, or init.parts = gate",
                  found.size(), expected, found.size()));
}

// An expert of the file that has more than this run's is another function: a norm, for one. This rank looks at
// the experts that it hosts.
void check_nothing_left(const std::map<std::string, tensor::Shape>& stored, const std::vector<Wanted>& wanted,
                        const Patterns& patterns) {
  std::set<std::string> paths;
  std::set<std::string> hosted;
  for (const Wanted& one : wanted) {
    if (expert_of(one.array.name).empty()) continue;
    paths.insert(one.path);
    hosted.insert(network_of(one.array.name));
  }
  for (const auto& [path, shape] : stored) {
    const std::string name = name_of(path);
    if (!hosted.contains(network_of(name)) || !any_matches(patterns, name) || paths.contains(path)) continue;
    throw ConfigError(fmt::format(
        "its array '{}' is not of this run's experts (they would be another function without it); give "
        "this run the network of that one, or set init.parts = gate",
        path));
  }
}

// Local; reads nothing before everything is known to fit.
std::vector<std::string> read(const checkpoint::Reader& reader,
                              const std::map<std::string, tensor::Shape>& stored, const Patterns& patterns,
                              const Selection& selection) {
  check_expert_count(stored, patterns, selection.experts);
  std::vector<checkpoint::Slice> slices;
  std::vector<std::string> drawn;
  index_t found_of_gate = 0;
  for (const Wanted& wanted : selection.wanted) {
    const nn::NamedArray& array = wanted.array;
    const bool of_gate = array.role == nn::Role::router;
    const auto found = stored.find(wanted.path);
    if (found == stored.end() && of_gate) {
      drawn.push_back(array.name);
      continue;
    }
    if (found == stored.end() || found->second != array.shape) {
      throw ConfigError(fmt::format(
          "its array '{}' {}, and this run's has the shape {}; give this run the network of that one "
          "(`switchyard inspect` lists its arrays), or set init.parts = {}",
          wanted.path,
          found == stored.end() ? "is missing" : "has the shape " + tensor::to_string(found->second),
          tensor::to_string(array.shape), of_gate ? "experts" : "gate"));
    }
    if (of_gate) ++found_of_gate;
    slices.push_back({wanted.path, checkpoint::DType::float32, array.shape,
                      checkpoint::all_elements(array.shape), reinterpret_cast<std::byte*>(array.data)});
  }
  if (found_of_gate == 0 && !drawn.empty()) {
    throw ConfigError(
        "it holds nothing of this run's gate (its arrays have other names); give model.gate the layers that "
        "it shares with that gate, or set init.parts = experts");
  }
  check_nothing_left(stored, selection.wanted, patterns);
  for (const checkpoint::Slice& slice : slices) reader.read(slice);
  return drawn;
}

}  // namespace

InheritedWeights inherit_weights(comm::Communicator& communicator, const InitOptions& init,
                                 model::Model& model) {
  InheritedWeights inherited;
  if (init.from.empty()) return inherited;
  try {
    comm::agree(communicator, [&] {
      if (!communicator.is_root()) return;
      std::error_code error;
      if (!std::filesystem::exists(init.from, error) && !error) {
        throw DataError(
            "there is no such file or folder (first weights are read from there); give a checkpoint, or "
            "a run folder that holds one");
      }
      const std::filesystem::path folder = std::filesystem::path(init.from) / "checkpoints";
      if (files::is_there(folder / "best") && !files::is_there(folder / "latest")) {
        throw DataError(
            "its last checkpoint is gone (a study keeps the best one of a finished run alone); give a "
            "checkpoint's file, or keep them all with study.keep_checkpoints = yes");
      }
      inherited.checkpoint = checkpoint_file(init.from);
    });
    communicator.broadcast(inherited.checkpoint);
    const checkpoint::Reader reader(communicator, inherited.checkpoint);
    std::map<std::string, tensor::Shape> stored;
    for (const checkpoint::Slice& array : reader.arrays()) stored[array.path] = array.shape;
    const Patterns patterns = config::parse_name_patterns(init.parts);
    const Selection selection = select(communicator, model, patterns);
    for (std::size_t p = 0; p < patterns.size(); ++p) {
      if (selection.matches[p] > 0) continue;
      throw_agreed(ErrorKind::config,
                   fmt::format("init.parts = {}: '{}' names nothing of this run's model; is '{}' meant?",
                               init.parts, patterns[p].text(), nearest_name(stored, patterns[p].text())));
    }
    comm::agree(communicator, [&] { inherited.drawn_arrays = read(reader, stored, patterns, selection); });
    if (init.draw > 0 && selection.unread == 0 && inherited.drawn_arrays.empty()) {
      throw_agreed(
          ErrorKind::config,
          fmt::format("init.draw = {} with all weights read (there is nothing to draw); set it to 0, or set "
                      "init.parts = gate or experts",
                      init.draw));
    }
  } catch (const AgreedError& error) {
    throw_agreed(error.kind(), fmt::format("init.from = {}: {}", init.from, error.what()));
  }
  return inherited;
}

}  // namespace switchyard::run
