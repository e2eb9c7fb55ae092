#include "run/run.hpp"

#include <fmt/format.h>

#include "base/log.hpp"
#include "comm/agreement.hpp"
#include "run/shared_inputs.hpp"

namespace switchyard::run {

std::string newest_checkpoint(const RunFolder& folder) {
  return folder.has_checkpoint() ? checkpoint::newest_valid(folder.checkpoint_folder()).string()
                                 : std::string();
}

PreparedRun prepare_run(comm::Communicator& communicator, const Config& config,
                        const std::function<void(const std::filesystem::path& checkpoint)>& check) {
  PreparedRun prepared{.config = config, .folder = {}, .checkpoint = {}, .inherited = {}};
  comm::agree(communicator, [&] {
    if (!communicator.is_root()) return;
    prepared.folder = RunFolder::create(config.run.dir, config.run.resume);
    prepared.checkpoint = newest_checkpoint(*prepared.folder);
    if (!prepared.checkpoint.empty()) check(prepared.checkpoint);
  });
  expect_folder_seen(communicator, config.run.dir);
  communicator.broadcast(prepared.checkpoint);
  return prepared;
}

Outcome execute(PreparedRun& prepared, const RunMeans& means) {
  comm::Communicator& communicator = means.resources.communicator;
  const RunFolder* const folder = prepared.folder ? &*prepared.folder : nullptr;
  std::optional<Loop> loop;
  comm::agree(communicator, [&] {
    loop.emplace(prepared.config, *means.dataset, means.resources, folder);
    loop->hold_samples(means.most_held_bytes);
  });
  loop->set_output(*means.out);
  if (!prepared.checkpoint.empty()) {
    const checkpoint::Reader reader(communicator, prepared.checkpoint);
    comm::agree(communicator, [&] { loop->restore(reader); });
    if (communicator.is_root()) {
      for (const std::string& warning : warnings_of(reader, means.resources.context)) log::warn("{}", warning);
    }
    // A run that was over and was killed before it wrote its results has none.
    const bool has_results = loop->is_over() && folder != nullptr && folder->has_result_of(loop->step());
    if (comm::on_any_rank(communicator, has_results)) {
      return {ExitCode::ok, fmt::format("the run has ended after step {} of {}: there was nothing left to do",
                                        loop->step(), loop->last_step())};
    }
  } else {
    prepared.inherited = inherit_weights(means.resources, prepared.config, *means.dataset, loop->model());
    loop->model().values_changed();
  }
  comm::agree(communicator, [&] {
    if (folder != nullptr) folder->write_config(schema().to_ini(prepared.config));
  });
  means.announce(*loop);
  return loop->run();
}

}  // namespace switchyard::run
