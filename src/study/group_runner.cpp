#include "study/group_runner.hpp"

#include <fmt/format.h>

#include <optional>
#include <ostream>

#include "base/stop_signals.hpp"
#include "comm/agreement.hpp"
#include "comm/replica_group.hpp"
#include "run/load_data.hpp"
#include "run/run.hpp"
#include "run/shared_inputs.hpp"
#include "study/check.hpp"
#include "study/run_state.hpp"

namespace switchyard::study {
namespace {

// What the samples are a function of.
std::string key_of(const run::Config& config) {
  run::Config samples;
  samples.data = run::data_options(config);
  std::string key = run::schema().to_ini(samples);
  if (run::labels_of(config) == data::Labels::numbers) key += "labels=numbers\n";
  // Samples that are made up follow run.seed where they have no seed of their own; files ignore it.
  if (!data::reads_files(config.data) && config.data.seed == 0)
    key += fmt::format("seed={}\n", config.run.seed);
  return key;
}

// A NumericError that every rank of the group threw.
bool is_shared_numeric(const Error& error, const comm::Communicator& group) {
  return error.kind() == ErrorKind::numeric &&
         (group.size() == 1 || dynamic_cast<const AgreedError*>(&error) != nullptr);
}

}  // namespace

const data::Dataset& GroupRunner::dataset_of(const run::Config& config) {
  constexpr std::size_t most = 4;  // some hundred megabytes of images at most
  const std::string key = key_of(config);
  const auto found = datasets_.find(key);
  if (found != datasets_.end()) return found->second;
  if (datasets_.size() == most) datasets_.clear();
  return datasets_.emplace(key, run::load_data(config)).first->second;
}

GroupRunner::GroupRunner(comm::Communicator& group, const Options& options, const Means& means)
    : group_(&group), options_(&options), means_(&means) {}

Ended GroupRunner::run(const Job& job) {
  std::optional<std::string> failure;
  try {
    return train(job);
  } catch (const Error& error) {
    if (!is_shared_numeric(error, *group_)) throw;
    failure = error.what();
  }
  comm::agree(*group_, [&] {
    if (group_->is_root()) record_failure(job.config.run.dir, ErrorKind::numeric, *failure);
  });
  return Ended::failed;
}

Ended GroupRunner::train(const Job& job) {
  device::Context& context = means_->device(job.config.run);
  const data::Dataset* dataset = nullptr;
  comm::agree(*group_, [&] {
    dataset = &dataset_of(job.config);
    check_selectable(*options_, job, dataset->size(data::Split::validation));
  });
  run::expect_same_data(*group_, *dataset);
  // The stored configuration was compared before (check_same_run).
  run::PreparedRun prepared = run::prepare_run(*group_, job.config, [](const std::filesystem::path&) {});
  std::optional<comm::ReplicaGroup> replicas;
  if (!data_plane_) data_plane_ = means_->make_plane(*group_);
  if (job.config.moe.replicas > 1)
    replicas.emplace(*group_, static_cast<int>(job.config.moe.replicas), means_->make_plane);
  const comm::Resources resources{*group_, *data_plane_, context, replicas ? &replicas->data_plane() : nullptr};
  std::ostream silence(nullptr);
  const run::Outcome outcome = run::execute(prepared, {.resources = resources,
                                                       .dataset = dataset,
                                                       .most_held_bytes = means_->most_held_bytes,
                                                       .out = &silence,
                                                       .announce = [](run::Loop&) {}});
  return outcome.code == ExitCode::ok ? Ended::finished : Ended::stopped;
}

bool GroupRunner::stop_requested() { return comm::on_any_rank(*group_, switchyard::stop_requested()); }

}  // namespace switchyard::study
