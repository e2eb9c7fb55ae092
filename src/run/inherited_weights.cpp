#include "run/inherited_weights.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <set>

#include "base/error.hpp"
#include "comm/agreement.hpp"
#include "files/regular_file.hpp"
#include "run/common_arrays.hpp"
#include "run/host_arrays.hpp"
#include "run/run_checkpoint.hpp"
#include "run/upcycling.hpp"
#include "run/vocabulary.hpp"

namespace switchyard::run {
namespace {

constexpr std::string_view same_networks =
    "give this run the networks of that one (`switchyard inspect` lists its arrays)";

// What init.parts names: the arrays that this rank holds, and counts over all ranks.
struct Selection {
  std::vector<Held> wanted;
  Vector<std::int64_t> matches;  // per pattern
  std::int64_t unread = 0;       // arrays that no pattern matches
  std::int64_t experts = 0;
  std::int64_t copies = 0;
};

// The file that is a checkpoint, or the newest one of a run folder. Local.
std::string find_checkpoint(const std::string& from) {
  std::error_code error;
  if (!std::filesystem::exists(from, error) && !error) {
    throw DataError(
        "there is no such file or folder (first weights are read from there); give a checkpoint, or a run "
        "folder that holds one");
  }
  const std::filesystem::path folder = std::filesystem::path(from) / "checkpoints";
  if (files::is_there(folder / "best") && !files::is_there(folder / "latest")) {
    throw DataError(
        "its last checkpoint is gone (a study keeps the best one of a finished run alone); give a "
        "checkpoint's file, or keep them all with study.keep_checkpoints = yes");
  }
  return checkpoint_file(from);
}

// Collective.
Selection select(comm::Communicator& communicator, const std::vector<Held>& held, const Patterns& patterns) {
  Selection selection;
  selection.matches.resize(patterns.size());
  std::set<std::string> experts;
  for (const Held& one : held) {
    const std::string& name = one.array.name;
    for (std::size_t p = 0; p < patterns.size(); ++p) selection.matches[p] += patterns[p].matches(name) ? 1 : 0;
    if (!any_matches(patterns, name)) {
      ++selection.unread;
      continue;
    }
    selection.wanted.push_back(one);
    selection.copies += one.is_upcycled ? 1 : 0;
    if (std::string expert = expert_of(name); !expert.empty() && !one.array.is_copy)
      experts.insert(std::move(expert));
  }
  selection.experts = std::ssize(experts);
  communicator.all_reduce_sum(Span<std::int64_t>(selection.matches));
  communicator.all_reduce_sum(Span<std::int64_t>(&selection.unread, 1));
  communicator.all_reduce_sum(Span<std::int64_t>(&selection.experts, 1));
  communicator.all_reduce_sum(Span<std::int64_t>(&selection.copies, 1));
  return selection;
}

void check_names(const Shapes& shared, const Patterns& patterns, const std::string& text,
                 const Selection& selection) {
  for (std::size_t p = 0; p < patterns.size(); ++p) {
    if (selection.matches[p] > 0) continue;
    throw_agreed(ErrorKind::config,
                 fmt::format("init.parts = {}: '{}' names nothing of this run's model; is '{}' meant?", text,
                             patterns[p].text(), nearest_name(shared, patterns[p].text())));
  }
}

void check_expert_count(const Shapes& stored, const Patterns& patterns, index_t expected) {
  std::set<std::string> found;
  for (const auto& [path, shape] : stored) {
    const std::string name = name_of(path);
    if (std::string expert = expert_of(name); !expert.empty() && any_matches(patterns, name))
      found.insert(std::move(expert));
  }
  if (found.empty() || std::ssize(found) == expected) return;
  if (expected == 0) {
    throw ConfigError(fmt::format(
        "it holds {} experts, and this run's model has no mixture to hold them (transformer.mixture_every = 0); set "
        "transformer.mixture_every, or give the checkpoint of a dense model",
        found.size()));
  }
  throw ConfigError(
      fmt::format("it holds {} experts, and this run has {} (every expert is read by its number); set "
                  "moe.experts = {}",
                  found.size(), expected, found.size()));
}

// What of a gate the file lacks keeps its first weights, if the file has some of it: a gate may get another
// last layer. So does the gate of a mixture whose experts are copies. Returns the names of that.
std::vector<std::string> check_wanted(const Shapes& stored, const std::vector<Held>& wanted) {
  std::vector<std::string> drawn;
  std::set<std::string> gates_found;
  for (const Held& one : wanted) {
    const auto& [array, path, is_upcycled] = one;
    const auto found = stored.find(path);
    const bool of_gate = array.role == nn::Role::router;
    if (found == stored.end() && of_gate) {
      drawn.push_back(array.name);
    } else if (!one.fits(stored)) {
      throw ConfigError(fmt::format(
          "its array '{}' {}, and this run's has the shape {}; {}", path,
          found == stored.end() ? "is missing" : "has the shape " + tensor::to_string(found->second),
          tensor::to_string(array.shape), same_networks));
    } else if (of_gate) {
      gates_found.insert(network_of(array.name));
    }
  }
  for (const std::string& name : drawn) {
    if (gates_found.contains(network_of(name)) || is_gate_in_place_of_dense(name, stored)) continue;
    throw ConfigError(fmt::format("it holds nothing of this run's '{}' (it has no array of such a name); {}",
                                  network_of(name), same_networks));
  }
  return drawn;
}

// A model without an array that the file's has is another function: of fewer blocks, or without a norm. Only a
// gate of both may have had another last layer.
void check_nothing_left(const Shapes& stored, const Shapes& shared, const std::vector<Held>& wanted,
                        const std::vector<Held>& held, const Patterns& patterns) {
  std::set<std::string> gates;
  for (const auto& [array, path, is_upcycled] : wanted) {
    if (array.role == nn::Role::router) gates.insert(network_of(array.name));
  }
  for (const auto& [path, shape] : stored) {
    const std::string name = name_of(path);
    if (shared.contains(path) || !any_matches(patterns, name) || gates.contains(network_of(name)) ||
        is_dense_in_place_of_mixture(path, held))
      continue;
    throw ConfigError(fmt::format(
        "its array '{}' is not of this run's model (which would be another function without it); {}", path,
        same_networks));
  }
}

// What the file lacks keeps its first weights.
void take_to_host(std::vector<Held>& wanted, HostArrays& host) {
  for (Held& one : wanted) one.array.data = host.place(one.array.data, tensor::element_count(one.array.shape));
  host.fetch();
}

// Local; of what is known to fit and lies on the host.
void read(const checkpoint::Reader& reader, const Shapes& stored, const std::vector<Held>& wanted) {
  for (const auto& [array, path, is_upcycled] : wanted) {
    if (!stored.contains(path)) continue;
    reader.read({path, checkpoint::DType::float32, array.shape, checkpoint::all_elements(array.shape),
                 reinterpret_cast<std::byte*>(array.data)});
  }
}

// A row of it means a token.
bool is_of_tokens(const Held& one) {
  return one.array.name == "embedding/weight" || one.array.name == "scores/weight";
}

}  // namespace

InheritedWeights inherit_weights(comm::Resources resources, const Config& config, const data::Dataset& dataset,
                                 model::Model& model) {
  comm::Communicator& communicator = resources.communicator;
  const InitOptions& init = config.init;
  InheritedWeights inherited;
  if (init.from.empty()) return inherited;
  try {
    comm::agree(communicator, [&] {
      if (communicator.is_root()) inherited.checkpoint = find_checkpoint(init.from);
    });
    communicator.broadcast(inherited.checkpoint);
    const checkpoint::Reader reader(communicator, inherited.checkpoint);
    const Shapes stored = arrays_in(reader);
    std::vector<Held> held = arrays_of(model);
    const Shapes shared = shared_with(communicator, stored, held);
    read_experts_from_dense(stored, held);
    if (shared.empty()) {
      throw_agreed(ErrorKind::config,
                   "it holds no array of this run's model (its networks have other layers, or its "
                   "model.family is another); give the checkpoint of a model like this one");
    }
    const Patterns patterns = config::parse_name_patterns(init.parts);
    Selection selection = select(communicator, held, patterns);
    check_names(shared, patterns, init.parts, selection);
    try {
      comm::agree(communicator, [&] {
        check_expert_count(stored, patterns, selection.experts);
        check_copies(stored, selection.wanted, held);
        inherited.drawn_arrays = check_wanted(stored, selection.wanted);
        check_nothing_left(stored, shared, selection.wanted, held, patterns);
      });
    } catch (const AgreedError& error) {
      if (error.kind() != ErrorKind::config) throw;
      const std::string parts = parts_that_fit(communicator, stored, shared, held, patterns);
      throw_agreed(error.kind(),
                   error.what() + (parts.empty() ? parts : fmt::format(", or set init.parts = {}", parts)));
    }
    HostArrays host(resources.context);
    take_to_host(selection.wanted, host);
    comm::agree(communicator, [&] {
      if (std::ranges::any_of(selection.wanted, is_of_tokens)) expect_same_vocabulary(reader, dataset, config);
      read(reader, stored, selection.wanted);
    });
    inherited.has_copies = selection.copies > 0;
    if (init.upcycle_noise > 0 && !inherited.has_copies) {
      throw_agreed(ErrorKind::config,
                   fmt::format("init.upcycle_noise = {} with no expert that is a copy (the file has no "
                               "feed-forward network where this run has a mixture); set it to 0",
                               init.upcycle_noise));
    }
    vary_copies(selection.wanted, init.upcycle_noise, config.run.seed, static_cast<std::uint32_t>(init.draw));
    host.send();
    if (init.draw > 0 && selection.unread == 0 && inherited.drawn_arrays.empty()) {
      throw_agreed(
          ErrorKind::config,
          fmt::format("init.draw = {} with all weights read (there is nothing to draw); set it to 0, or name "
                      "in init.parts what is read",
                      init.draw));
    }
  } catch (const AgreedError& error) {
    throw_agreed(error.kind(), fmt::format("init.from = {}: {}", init.from, error.what()));
  }
  return inherited;
}

}  // namespace switchyard::run
