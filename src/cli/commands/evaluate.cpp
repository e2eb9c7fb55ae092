#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/log.hpp"
#include "cli/commands/commands.hpp"
#include "cli/handshake.hpp"
#include "cli/stored_run.hpp"
#include "comm/agreement.hpp"
#include "run/config.hpp"
#include "run/data_arrays.hpp"
#include "run/metrics.hpp"
#include "run/run_checkpoint.hpp"
#include "run/vocabulary.hpp"
#include "train/evaluation.hpp"

namespace switchyard::cli {
namespace {

run::Json data_object(const checkpoint::Reader& reader, const data::Dataset& dataset) {
  warn_of_other_data(reader, dataset);
  const data::Identity& now = dataset.identity();
  const std::optional<data::Identity> then = run::stored_identity(reader);
  return {{"digest", now.digest}, {"same_as_run", then ? run::Json(*then == now) : run::Json(nullptr)}};
}

}  // namespace

int evaluate(Runtime& runtime, Arguments arguments) {
  comm::Communicator& communicator = runtime.communicator();
  data::Split split = data::Split::test;
  CommandLine line;
  const std::string file = checkpoint_of(
      runtime,
      [&] {
        line = parse_command_line(arguments, {.schemas = {&run::schema()}, .own = {"split", "checkpoint"}});
        split = split_of(line);
        return line;
      },
      {"eval takes one checkpoint or run folder", "switchyard eval runs/latest"});
  comm::expect_same(communicator, ErrorKind::config,
                    std::vector{compared_argument("--split", train::name(split))});
  const checkpoint::Reader reader(communicator, file);
  const run::Config config = run::without_own_scales(reader, stored_config(runtime, reader, file, line));
  runtime.start_device(config.run, config.comm);
  const comm::Resources resources = runtime.resources(config.moe.replicas);
  data::Dataset dataset = runtime.read_data(config, data::Purpose::prediction);
  std::optional<train::BatchLoader> loader;
  std::unique_ptr<model::Model> model;
  comm::agree(communicator, [&] {
    if (dataset.size(split) == 0) {
      throw ConfigError(
          fmt::format("the {} split has no samples to evaluate (an error over none would read as a perfect "
                      "score); try another --split",
                      train::name(split)));
    }
    if (!dataset.has_labels(split))
      throw DataError(fmt::format(
          "the {} split has no labels, so nothing says what is right; give data with labels, or try "
          "`switchyard predict`",
          train::name(split)));
    run::expect_same_vocabulary(reader, dataset, config);
    const model::Task task = run::fit_to_checkpoint(reader, dataset);
    loader.emplace(config.train, config.run.seed, dataset, resources);
    model = model::make_model(run::model_options(config), task, resources);
    run::load_arrays(reader, runtime.resources().context, *model, nullptr);
    model->values_changed();
  });
  // This command just ends at a signal, so there is always a value.
  const moe::Statistics statistics = train::evaluate(split, *loader, *model, resources).value();
  if (runtime.is_root()) {
    run::Json object = run::evaluation_object(statistics);
    object["split"] = train::name(split);
    object["samples"] = statistics.samples();
    object["step"] = reader.integer("state/step");
    object["checkpoint"] = file;
    object["data"] = data_object(reader, dataset);
    object["time"] = {{"sent_rows", statistics.sent_rows()}};
    // A domain is called as its file, and that may be any bytes.
    std::cout << object.dump(-1, ' ', false, run::Json::error_handler_t::replace) << std::endl;
  }
  communicator.barrier();
  return 0;
}

std::string evaluate_help() {
  return R"(usage: switchyard eval CHECKPOINT|RUN [--checkpoint=best|latest|STEP] [--split=test|validation|train]
                       [--data.dir=FOLDER|--data.file=FILE] [--moe.top_k=K] [--run.threads=N]
                       [--run.device=auto|cpu|cuda]

Evaluates a checkpoint, or one of a run folder (--checkpoint; without it the newest whole one), on a whole split and
prints one JSON object: error, loss (-ln of the label's probability), task_loss (model.loss), h_s, h_s_chosen, h_u,
mi_predicted, mi_true (bits), dispatch_entropy_label (nats), largest_share, active_experts, expert_share,
importance_share, load, dead_experts, class_by_expert; mean_squared_error and r2 where labels are real numbers;
dispatch_entropy and cluster_by_expert where the data carry clusters; data.same_as_run, whether these are the data of the
checkpoint's run. Of a model of text: error, loss, task_loss (nats a token),
perplexity (exp(loss)), bits_per_byte, domains (their names), and for each mixture layer of layers its name, h_s to
dead_experts without what is of classes, dispatch_entropy of the domains, and domain_by_expert; samples are tokens, or
bytes. The numbers do not depend on the number of ranks, but for time.sent_rows, the rows that crossed to another
rank. --moe.top_k=1 asks one expert a sample of a mixture that was trained with more; load counts the samples that
chose each expert. --moe.capacity=F limits what an expert takes of a batch; dropped is then the share of the slots
that had no place left. --data.file=FILE may be another file of tokens, if it is of the run's vocabulary (`switchyard
corpus --vocabulary=RUN`).
)";
}

}  // namespace switchyard::cli
