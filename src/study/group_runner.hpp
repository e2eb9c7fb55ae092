// One group of ranks that makes runs, one after the other.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "comm/data_plane.hpp"
#include "data/dataset.hpp"
#include "device/context.hpp"
#include "study/jobs.hpp"
#include "study/study.hpp"

namespace switchyard::study {

enum class Ended { finished, failed, stopped };

class GroupRunner {
 public:
  // All must outlive the runner.
  GroupRunner(comm::Communicator& group, const Options& options, const Means& means);

  // Starts or goes on with a run, in silence. A NumericError on which the group agrees is recorded in the run's
  // folder, and the run counts as failed; all else is thrown, as is what check_selectable() refuses. Collective
  // over the group.
  Ended run(const Job& job);
  // Whether a rank of the group was asked to stop. Collective over the group.
  bool stop_requested();

 private:
  Ended train(const Job& job);
  // Valid until the next call. Local; throws as data::load_dataset.
  const data::Dataset& dataset_of(const run::Config& config);

  comm::Communicator* group_;
  const Options* options_;
  std::shared_ptr<comm::DataPlane> data_plane_;  // made with the first run, on whose device the others are, too
  const Means* means_;
  // The runs of a study mostly share one; by what it depends on.
  std::map<std::string, data::Dataset> datasets_;
};

}  // namespace switchyard::study
