#include "run/run_checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "base/build_info.hpp"
#include "base/error.hpp"
#include "base/span.hpp"
#include "comm/agreement.hpp"
#include "comm/watchdog.hpp"
#include "data/batches.hpp"
#include "ops/gpu_products.hpp"
#include "run/config.hpp"
#include "run/data_arrays.hpp"
#include "run/host_arrays.hpp"

namespace switchyard::run {
namespace {

enum class Copies { all, ones_to_write };

// The slices of all arrays that this rank holds, or only those whose one valid copy it has; in `host`.
std::vector<checkpoint::Slice> slices_of(model::Model& model, optim::Optimiser* optimiser, HostArrays& host,
                                         Copies which = Copies::all, bool is_root = false) {
  std::vector<checkpoint::Slice> slices;
  const auto add = [&](std::string path, const tensor::Shape& shape, IndexRange elements, float* data) {
    slices.push_back({std::move(path), checkpoint::DType::float32, shape, elements,
                      reinterpret_cast<std::byte*>(host.place(data, elements.size()))});
  };
  const auto add_all = [&](const char* group, const std::vector<nn::NamedArray>& arrays) {
    for (const nn::NamedArray& a : arrays) {
      if (which == Copies::ones_to_write && (a.is_copy || (a.shared && !is_root))) continue;
      add(group + a.name, a.shape, checkpoint::all_elements(a.shape), a.data);
    }
  };
  add_all("parameters/", model.parameters());
  add_all("buffers/", model.state());
  if (optimiser != nullptr) {
    for (std::size_t s = 0; s < optimiser->slices().size(); ++s) {
      const nn::ParameterSlice& slice = optimiser->slices()[s];
      const std::vector<std::string> names = optimiser->state_names(s);
      for (std::size_t n = 0; n < names.size(); ++n) {
        add("optimizer/" + slice.name + "/" + names[n], slice.shape, slice.elements(),
            optimiser->state(s, n).data());
      }
    }
  }
  return slices;
}

// What is stored of a mixture layer's statistics of the last step.
struct LastStep {
  explicit LastStep(const moe::Statistics::Layer& layer)
      : path(layer.name.empty() ? "statistics" : "statistics/" + layer.name),
        importance(layer.routing.importance),
        load(importance.size()) {
    for (index_t e = 0; e < layer.routing.experts(); ++e) load[e] = layer.routing.load(e);
  }
  std::array<checkpoint::Slice, 2> slices() {
    const tensor::Shape shape{std::ssize(load)};
    const IndexRange all = checkpoint::all_elements(shape);
    return {
        {{path + "/importance", checkpoint::DType::float64, shape, all,
          reinterpret_cast<std::byte*>(importance.data())},
         {path + "/load", checkpoint::DType::int64, shape, all, reinterpret_cast<std::byte*>(load.data())}}};
  }

  std::string path;
  std::vector<double> importance;
  Vector<std::int64_t> load;
};

bool is_finite(const checkpoint::Slice& slice) {
  const auto* const values = reinterpret_cast<const float*>(slice.data);
  float sum = 0;  // v - v is 0 for a finite v and NaN otherwise
  for (index_t i = 0; i < slice.elements.size(); ++i) sum += values[i] - values[i];
  return sum == 0.0F;
}

void expect_finite(const std::vector<checkpoint::Slice>& slices) {
  for (const checkpoint::Slice& slice : slices)
    if (!is_finite(slice)) throw NumericError(fmt::format("'{}' is not finite", slice.path));
}

// What the bits of a run depend on besides its configuration and data.
struct Computer {
  const char* path;  // in a checkpoint
  const char* name;
  std::string value;  // here
};

std::array<Computer, 3> this_computer(const device::Context& context) {
  const ops::ProductIdentity products = ops::product_identity(context);
  return {{{"build", "the build", describe(build_info())},
           {"products", "the library of products", products.library},
           {"instruction_set", "the instruction set of products", products.instructions}}};
}

std::string best_path(std::string_view score) { return fmt::format("state/best_{}", score); }

void expect(const checkpoint::Reader& reader, const std::string& path, std::int64_t expected, const char* key) {
  const std::int64_t found = reader.integer(path);
  if (found != expected) {
    throw DataError(
        fmt::format("the checkpoint was made with {} = {}, and this run has {} (its samples and sums would be "
                    "others); resume with the run's own configuration",
                    key, found, expected));
  }
}

}  // namespace

void save_checkpoint(comm::Communicator& communicator, device::Context& context,
                     const std::filesystem::path& folder, const RunParts& run,
                     const checkpoint::SaveOptions& options) {
  const auto& [config, state, model, optimiser, last_step, dataset] = run;
  const data::Batching batching{state.data.training_samples, config.train.batch_size};
  const data::Position position = batching.position_of(state.step);
  checkpoint::Header header;
  header.integers = {{"state/step", state.step},
                     {"state/epoch", position.epoch},
                     {"state/batch", position.batch},
                     {"state/seed", static_cast<std::int64_t>(config.run.seed)},
                     {"state/shards", config.train.shards},
                     {"state/batch_size", config.train.batch_size},
                     {"state/schedule_steps", state.horizon},
                     {"state/best_step", state.best_step},
                     {"state/ended", state.ended ? 1 : 0},
                     {"state/evaluated", state.evaluated ? 1 : 0},
                     {"data/training_samples", state.data.training_samples},
                     {"data/validation_samples", state.data.validation_samples},
                     {"data/test_samples", state.data.test_samples}};
  header.numbers = {{best_path(state.best.name), state.best.value},
                    {"state/smallest_loss", state.smallest_loss},
                    {"state/last_loss", state.last_loss}};
  header.texts = {{"config", schema().to_ini(config)}, {"data/digest", state.data.digest}};
  for (const Computer& part : this_computer(context)) header.texts.emplace(part.path, part.value);
  add_data_facts(dataset, header);

  HostArrays host(context);
  std::vector<checkpoint::Slice> slices =
      slices_of(model, &optimiser, host, Copies::ones_to_write, communicator.is_root());
  host.fetch();
  std::vector<LastStep> last(last_step.layers.begin(), last_step.layers.end());
  if (communicator.is_root()) {
    for (LastStep& layer : last) std::ranges::copy(layer.slices(), std::back_inserter(slices));
    std::ranges::copy(data_arrays(dataset), std::back_inserter(slices));
  }
  communicator.set_phase(state.step, "save");
  // The others wait while one rank writes: 20 MB/s is a slow shared file system.
  const double copies =
      1.0 + static_cast<double>(std::max(optim::state_names(config.optim, nn::Role::weight).size(),
                                         optim::state_names(config.optim, nn::Role::router).size()));
  const double bytes = copies * static_cast<double>(model.cost().parameters) * sizeof(float);
  const comm::LongerWaits waits(communicator.watchdog(), bytes / 20e6);
  checkpoint::save(communicator, folder, {state.step, header, slices}, options);
}

std::string checkpoint_file(const std::filesystem::path& path) {
  std::error_code ignored;  // whoever opens it says what is wrong
  return std::filesystem::is_directory(path, ignored) ? checkpoint::newest_valid(path / "checkpoints").string()
                                                      : path.string();
}

std::string named_checkpoint(const std::filesystem::path& run, std::string_view name) {
  std::error_code error;
  const bool is_folder = std::filesystem::is_directory(run, error);
  if (error) {
    throw DataError(fmt::format("cannot look into '{}' ({}); give a run folder, or a checkpoint", run.string(),
                                error.message()));
  }
  if (!is_folder) {
    throw ConfigError(fmt::format(
        "--checkpoint={} with the file '{}' (a file is one checkpoint; the option chooses among those of a run "
        "folder); leave it out, or give the run folder",
        name, run.string()));
  }
  return checkpoint::named(run / "checkpoints", name).string();
}

std::optional<data::Identity> stored_identity(const checkpoint::Reader& reader) {
  if (!reader.contains("data/digest")) return std::nullopt;
  return data::Identity{reader.integer("data/training_samples"), reader.integer("data/validation_samples"),
                        reader.integer("data/test_samples"), reader.text("data/digest")};
}

std::vector<std::string> warnings_of(const checkpoint::Reader& reader, const device::Context& context) {
  std::vector<std::string> warnings;
  for (const Computer& part : this_computer(context)) {
    const std::string then = reader.contains(part.path) ? reader.text(part.path) : "not known";
    if (then == part.value) continue;
    warnings.push_back(fmt::format(
        "{} is {}, and was {} when the checkpoint was written (from here on steps may round otherwise "
        "than those of a run that never stopped)",
        part.name, part.value, then));
  }
  if (!stored_identity(reader)) {
    warnings.emplace_back(
        "the checkpoint does not say which data its run reads (an older version wrote it), so it cannot be "
        "checked that they are still the same");
  }
  return warnings;
}

RunState state_of(const checkpoint::Reader& reader, const Config& config, const data::Identity& data,
                  std::string_view score) {
  expect(reader, "state/seed", static_cast<std::int64_t>(config.run.seed), "run.seed");
  expect(reader, "state/shards", config.train.shards, "train.shards");
  expect(reader, "state/batch_size", config.train.batch_size, "train.batch_size");
  if (const std::optional<data::Identity> stored = stored_identity(reader); stored && *stored != data) {
    throw DataError(fmt::format(
        "the data are not those that the run began with: then {}, now {} (the order of samples and the "
        "validation split would be others); give the run its own data (data.dir or data.file), or start another "
        "run from its weights (init.from)",
        describe(*stored), describe(data)));
  }
  return {reader.integer("state/step"),
          reader.integer("state/schedule_steps"),
          {score, reader.number(best_path(score))},
          reader.integer("state/best_step"),
          reader.number("state/smallest_loss"),
          reader.number("state/last_loss"),
          reader.integer("state/ended") != 0,
          reader.integer("state/evaluated") != 0,
          data};
}

void load_last_step(const checkpoint::Reader& reader, moe::Statistics& last_step) {
  for (moe::Statistics::Layer& layer : last_step.layers) {
    LastStep last(layer);
    for (const checkpoint::Slice& slice : last.slices()) reader.read(slice);
    layer.routing.importance = last.importance;
    for (index_t e = 0; e < layer.routing.experts(); ++e) layer.routing.load(e) = last.load[e];
  }
}

std::string first_not_finite(comm::Communicator& communicator, device::Context& context, model::Model& model,
                             optim::Optimiser& optimiser) {
  try {
    comm::agree(communicator, [&] {
      HostArrays host(context);
      const std::vector<checkpoint::Slice> slices = slices_of(model, &optimiser, host);
      host.fetch();
      expect_finite(slices);
    });
  } catch (const AgreedError& error) {
    if (error.kind() != ErrorKind::numeric) throw;
    return error.what();  // of the lowest rank
  }
  return {};
}

void expect_finite_state(model::Model& model, device::Context& context) {
  HostArrays host(context);
  std::vector<checkpoint::Slice> slices;
  for (const nn::NamedArray& a : model.state()) {
    const IndexRange all = checkpoint::all_elements(a.shape);
    slices.push_back({"buffers/" + a.name, checkpoint::DType::float32, a.shape, all,
                      reinterpret_cast<std::byte*>(host.place(a.data, all.size()))});
  }
  host.fetch();
  expect_finite(slices);
}

void load_arrays(const checkpoint::Reader& reader, device::Context& context, model::Model& model,
                 optim::Optimiser* optimiser) {
  HostArrays host(context);
  for (const checkpoint::Slice& slice : slices_of(model, optimiser, host)) {
    reader.read(slice);
    if (is_finite(slice)) continue;
    throw NumericError(
        fmt::format("'{}' of the checkpoint is not finite (it was changed, or written by something else: what "
                    "is not finite is never saved); remove that file, and `switchyard resume` goes on from the "
                    "one before",
                    slice.path));
  }
  host.send();
}

}  // namespace switchyard::run
