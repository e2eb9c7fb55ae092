#include "run/inherited_weights.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <set>

#include "base/error.hpp"
#include "checkpoint/checkpoint.hpp"
#include "comm/agreement.hpp"
#include "files/regular_file.hpp"
#include "run/run_checkpoint.hpp"

namespace switchyard::run {
namespace {

// An array of the model, and where a checkpoint holds it.
struct Wanted {
  model::ModelArray array;
  std::string path;
};

std::vector<Wanted> wanted_arrays(model::Model& model, InitParts parts) {
  std::vector<Wanted> wanted;
  const auto add = [&](const std::vector<model::ModelArray>& arrays, const char* group) {
    for (const model::ModelArray& array : arrays) {
      const auto part = array.shared ? InitParts::gate : InitParts::experts;
      if (parts == InitParts::all || parts == part) wanted.push_back({array, group + array.name});
    }
  };
  add(model.parameters(), "parameters/");
  add(model.state(), "buffers/");
  return wanted;
}

void check_expert_count(const checkpoint::Reader& reader, index_t expected) {
  const std::string group = "parameters/experts/";
  std::set<std::string> found;
  for (const checkpoint::Slice& array : reader.arrays()) {
    if (array.path.starts_with(group))
      found.insert(array.path.substr(group.size(), array.path.find('/', group.size()) - group.size()));
  }
  if (std::ssize(found) == expected) return;
  throw ConfigError(
      fmt::format("it holds {} experts, and this run has {} (every expert is read by its number); set "
                  "moe.experts = {}, or init.parts = gate",
                  found.size(), expected, found.size()));
}

// An expert of the file that has more than this run's is another function: a norm, for one. This rank looks at
// the experts that it hosts.
void check_nothing_left(const std::map<std::string, tensor::Shape>& stored,
                        const std::vector<checkpoint::Slice>& wanted, InitParts parts) {
  if (parts == InitParts::gate) return;
  std::set<std::string> paths;
  std::set<std::string> hosted;  // "experts/0003/"
  const auto expert_of = [](const std::string& path) {
    const std::size_t begin = path.find("/experts/");
    if (begin == path.npos) return std::string();
    return path.substr(begin + 1, path.find('/', begin + 9) - begin);
  };
  for (const checkpoint::Slice& slice : wanted) {
    paths.insert(slice.path);
    hosted.insert(expert_of(slice.path));
  }
  for (const auto& [path, shape] : stored) {
    const bool of_network = path.starts_with("parameters/experts/") || path.starts_with("buffers/experts/");
    if (!of_network || !hosted.contains(expert_of(path)) || paths.contains(path)) continue;
    throw ConfigError(fmt::format(
        "its array '{}' is not of this run's experts (they would be another function without it); give "
        "this run the network of that one, or set init.parts = gate",
        path));
  }
}

// Local; reads nothing before everything is known to fit.
std::vector<std::string> read(const checkpoint::Reader& reader, InitParts parts, model::Model& model) {
  if (parts != InitParts::gate) check_expert_count(reader, model.statistics().experts());
  std::map<std::string, tensor::Shape> stored;
  for (const checkpoint::Slice& array : reader.arrays()) stored[array.path] = array.shape;

  std::vector<checkpoint::Slice> slices;
  std::vector<std::string> drawn;
  index_t found_of_gate = 0;
  for (const Wanted& wanted : wanted_arrays(model, parts)) {
    const model::ModelArray& array = wanted.array;
    const auto found = stored.find(wanted.path);
    if (found == stored.end() && array.shared) {
      drawn.push_back(array.name);
      continue;
    }
    if (found == stored.end() || found->second != array.shape) {
      throw ConfigError(fmt::format(
          "its array '{}' {}, and this run's has the shape {}; give this run the network of that one "
          "(`switchyard inspect` lists its arrays), or set init.parts = {}",
          wanted.path,
          found == stored.end() ? "is missing" : "has the shape " + tensor::to_string(found->second),
          tensor::to_string(array.shape), array.shared ? "experts" : "gate"));
    }
    if (array.shared) ++found_of_gate;
    slices.push_back({wanted.path, checkpoint::DType::float32, array.shape, array.rows.begin, array.rows.size(),
                      reinterpret_cast<std::byte*>(array.data)});
  }
  if (parts != InitParts::experts && found_of_gate == 0 && (parts == InitParts::gate || !drawn.empty())) {
    throw ConfigError(
        "it holds nothing of this run's gate (its arrays have other names); give model.gate the layers that "
        "it shares with that gate, or set init.parts = experts");
  }
  check_nothing_left(stored, slices, parts);
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
    comm::agree(communicator, [&] { inherited.drawn_arrays = read(reader, init.parts, model); });
    if (init.draw > 0 && init.parts == InitParts::all && inherited.drawn_arrays.empty()) {
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
