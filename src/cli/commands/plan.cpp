#include <fmt/format.h>

#include <charconv>
#include <iostream>
#include <sstream>

#include "cli/commands/commands.hpp"
#include "cli/commands/plan_costs.hpp"
#include "cli/commands/start_table.hpp"
#include "cli/options.hpp"
#include "console/terminal.hpp"
#include "data/batches.hpp"
#include "data/dataset.hpp"
#include "model/outline.hpp"
#include "moe/regularisers/similarity.hpp"
#include "optim/optimiser.hpp"
#include "run/config.hpp"
#include "run/load_data.hpp"
#include "train/batch_loader.hpp"

namespace switchyard::cli {
namespace {

constexpr double float_bytes = sizeof(float);

std::string mebibytes(double bytes) { return fmt::format("{:.1f} MiB", bytes / (1 << 20)); }

int ranks_of(const CommandLine& line) {
  const std::string text = line.option("ranks").value_or("1");
  int ranks = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, ranks);
  if (parsed.ec != std::errc() || parsed.ptr != end || ranks < 1 || ranks > 100'000) {
    throw ConfigError(fmt::format("'--ranks={}' is no number of ranks (1 to 100000); try --ranks=4", text));
  }
  return ranks;
}

// Mixture layers are alike, and counted together.
struct Plan {
  run::Config config;
  model::Outline outline;
  moe::LayerOptions options;  // of a mixture layer
  nn::Network gate, expert;   // without memory
  int ranks;

  index_t threads() const { return std::max(config.run.threads, 1); }
  double layers() const { return static_cast<double>(outline.layers.size()); }
  double features() const { return static_cast<double>(outline.row_features); }
  double parts() const { return static_cast<double>(std::min(config.train.parts, config.train.batch_size)); }
  double trunk() const { return static_cast<double>(outline.trunk().parameters); }
  // Rows that a mixture layer routes in a part of a batch, on all ranks.
  index_t batch_rows() const {
    return (config.train.batch_size + config.train.parts - 1) / config.train.parts * outline.rows_per_sample;
  }
};

std::string headline(const Plan& p) {
  const std::string all = console::grouped(p.outline.cost().parameters);
  if (p.outline.layers.empty())
    return fmt::format("no mixture layer, {} rank(s); {} parameters\n", p.ranks, all);
  const bool inner = !p.outline.branches.empty();
  std::string text = fmt::format(
      "{}{} experts on {} rank(s), {}; {} parameters: {}gate {}, an expert {}\n",
      p.outline.layers.size() > 1 ? fmt::format("{} mixture layers of ", p.outline.layers.size()) : "",
      p.config.moe.experts, p.ranks, choice_text(p.options.routing), all,
      inner ? fmt::format("{} outside of gates and experts, a ", console::grouped(p.outline.trunk().parameters))
            : "",
      console::grouped(p.gate.parameter_count()), console::grouped(p.expert.parameter_count()));
  if (!inner) {
    text += fmt::format("multiply-adds of a sample, forward: gate {}, an expert {}, in all {}\n",
                        console::grouped(p.gate.multiply_adds()), console::grouped(p.expert.multiply_adds()),
                        console::grouped(p.outline.cost().multiply_adds));
  }
  return text;
}

void print_gradients(std::ostream& out, const Plan& p) {
  if (p.gate.layer_count() == 0 || p.gate.frozen()) return;
  out << fmt::format("gradients of {} gate's matrices (the same rule on every rank count)\n",
                     p.outline.layers.size() > 1 ? "each" : "the");
  const auto partials_text = [&](index_t parameters) {
    const double bytes = static_cast<double>(parameters) * float_bytes;
    return fmt::format(
        "a partial sum per shard, {} in all; a rank sends {} a step",
        mebibytes(static_cast<double>(p.config.train.shards) * bytes),
        mebibytes(p.parts() * nn::GradientTree::sent_rows(p.config.train.shards, p.ranks) * bytes));
  };
  nn::for_each_parameter(p.gate, [&](const nn::ParameterPlace& place) {
    const nn::Parameter& weight = place.parameter;
    if (weight.shape.size() == 1) return;
    const index_t in = weight.fan_in, columns = weight.count() / in;
    const double rows = p.parts() * static_cast<double>(p.batch_rows() * (in + columns)) * float_bytes;
    const double partials = static_cast<double>(p.config.train.shards * weight.count()) * float_bytes;
    std::string text = partials_text(weight.count());
    if (place.whole_rows()) {
      text = fmt::format("rows are gathered, {} blocks are shared out ({} a step; partial sums would be {})",
                         place.entries.size(), mebibytes(rows), mebibytes(partials));
    } else if (in == p.gate.layer(place.layer).in_features()) {  // one product
      text += fmt::format(" (rows would be {})", mebibytes(rows));
    }
    out << fmt::format("  {:>5} x {:<5} {}\n", in, columns, text);
  });
  out << '\n';
}

// Every rank gets the rows that the others hold and works on the pairs of its own samples.
void print_similarity(std::ostream& out, const Plan& p) {
  const moe::Options& moe = p.config.moe;
  if (!moe::similarity_weights(moe).any()) return;
  const double batch = static_cast<double>(p.batch_rows());
  const double width = moe.similarity_layer == 0
                           ? p.features()
                           : static_cast<double>(p.gate.layer(moe.similarity_layer - 1).out_features());
  const double columns = width + static_cast<double>(moe.experts);
  const double times = p.parts() * p.layers();
  out << fmt::format(
      "sample similarity: rows of {:.0f} features and {} probabilities are gathered ({} a step);"
      " {:.2g} GFLOP a step, shared out\n",
      width, moe.experts, mebibytes(times * batch * columns * float_bytes),
      2e-9 * times * batch * batch * columns);
}

// Floats of a step for each parameter of an expert, in which sums over blocks of its rows meet.
double block_floats(const Plan& p, int replica) {
  const moe::Options& moe = p.config.moe;
  if (moe.gradient_blocks == 0 || p.expert.frozen()) return 0;
  return nn::GradientTree::rooms(moe.gradient_blocks, static_cast<int>(moe.replicas), replica, 1);
}

void print_replicas(std::ostream& out, const Plan& p, const moe::Placement& placement) {
  const moe::Options& moe = p.config.moe;
  if (moe.replicas == 1 || p.outline.layers.empty() || p.expert.frozen()) return;
  const double most =
      static_cast<double>(std::ssize(placement.hosted_by(GroupRank(0))) * p.expert.parameter_count());
  const double rows = nn::GradientTree::sent_rows(moe.gradient_blocks, placement.replicas());
  out << fmt::format(
      "{} replicas of each expert: gradients are sums over {} blocks of its rows; a rank sends up to {} a step\n\n",
      moe.replicas, moe.gradient_blocks, mebibytes(p.parts() * p.layers() * rows * most * float_bytes));
}

bool is_frozen(const Plan& p, nn::Role role) { return (role == nn::Role::router ? p.gate : p.expert).frozen(); }

// Floats of the optimiser's state for each parameter of the gate, or of an expert.
double states(const Plan& p, nn::Role role) {
  return is_frozen(p, role) ? 0.0 : static_cast<double>(optim::state_names(p.config.optim, role).size());
}

// Those and the gradient.
double training_floats(const Plan& p, nn::Role role) {
  return is_frozen(p, role) ? 0.0 : 1.0 + states(p, role);
}

// What a rank has in a part of a batch.
struct Share {
  int rank, replica;
  double rows, hosted;
};

// Floats that these parts take of its workspace in a step.
double floats_of(const Plan& p, const model::Costs& costs, const Share& share) {
  const nn::Cost& experts = costs.of(model::Part::experts);
  nn::Cost own = sum(costs);
  own.row_floats -= experts.row_floats;
  const auto batch = static_cast<double>(p.batch_rows());
  const SharedParts shards{p.batch_rows() / p.outline.rows_per_sample, p.config.train.shards, p.ranks};
  double floats =
      share.rows * own.row_floats + static_cast<double>(shards.parts_of(share.rank).size()) * own.shard_floats +
      static_cast<double>(p.threads()) * own.thread_floats +
      nn::GradientTree::rooms(p.config.train.shards, p.ranks, share.rank, p.threads()) * own.partial_floats;
  if (p.ranks > 1) floats += batch * own.gathered_floats + share.rows * (1 - 1.0 / p.ranks) * own.remote_floats;
  if (share.hosted == 0) return floats;
  // An expert's rows are padded, by half a multiple on average.
  const auto slots = static_cast<double>(p.outline.sub_heads * p.options.routing.slots());
  const double padding = 0.5 * static_cast<double>(moe::Experts::row_multiple) / slots;
  const auto sets = static_cast<double>(p.config.moe.experts);
  const double copies = sets * static_cast<double>(p.config.moe.replicas);
  const double of_expert = static_cast<double>(experts.parameters) / sets * block_floats(p, share.replica);
  return floats + share.hosted * ((batch / copies + padding) * experts.row_floats + of_expert);
}

// Where branches are computed again, each leaves what it returns, and the largest has its memory in turn.
double activations(const Plan& p, const Share& share) {
  if (!model::reads_tokens(p.config.model.family))  // and copies of samples
    return floats_of(p, p.outline.costs(), share) + share.rows * p.features();
  if (!p.outline.recompute) return floats_of(p, p.outline.costs(), share);
  double most = 0;
  for (const model::Branch& branch : p.outline.branches)
    most = std::max(most, floats_of(p, p.outline.costs_of(branch), share));
  return floats_of(p, p.outline.costs_of_ends(), share) + most +
         share.rows * p.features() * static_cast<double>(p.outline.branches.size());
}

// What rank `rank` holds and receives; averages where routing decides.
void print_rank(std::ostream& out, const Plan& p, const moe::Placement& placement, int rank) {
  const double batch = static_cast<double>(p.batch_rows());
  const auto rows_of = [&](index_t samples) {
    const SharedParts shards{samples, p.config.train.shards, p.ranks};
    return static_cast<double>(shards.range_of(rank).size() * p.outline.rows_per_sample);
  };
  const double rows = rows_of(p.batch_rows() / p.outline.rows_per_sample);
  const double hosted =
      p.outline.layers.empty() ? 0.0 : static_cast<double>(placement.hosted_by(GroupRank(rank)).size());
  const double experts = static_cast<double>(placement.expert_count());
  const double replicas = placement.replicas();  // which share out rows and updates
  const double slots = static_cast<double>(p.options.routing.slots());
  const double sub_heads = static_cast<double>(p.outline.sub_heads);

  const double gate = static_cast<double>(p.gate.parameter_count());
  const double expert = static_cast<double>(p.expert.parameter_count());
  const double parameters =
      (p.trunk() * (1.0 + training_floats(p, nn::Role::weight) / p.ranks) +
       p.layers() * (gate * (1.0 + training_floats(p, nn::Role::router) / p.ranks) +
                     hosted * expert * (1.0 + training_floats(p, nn::Role::weight) / replicas))) *
      float_bytes;
  const double chance =
      moe::chance_of_any(static_cast<index_t>(hosted), p.options.routing.slots(), p.config.moe.experts) /
      replicas;
  const double forwards = p.outline.recompute ? 2 : 1;
  const double dispatch =
      forwards * p.parts() * p.layers() * (batch - rows) * chance * p.features() * float_bytes;
  // Outputs, and the hidden vectors that attention looks at; their gradients go the other way, unless nobody
  // learns from them, and those of rows that are no data come back.
  const double returned = sub_heads * static_cast<double>(p.options.outputs + p.expert.shown_hidden());
  const double d_rows = p.options.expert_options.input_gradient ? p.features() : 0.0;
  const double outputs = p.parts() * p.layers() * rows * slots * (1.0 - hosted / (experts * replicas)) *
                         ((forwards + (p.expert.frozen() ? 0.0 : 1.0)) * returned + d_rows) * float_bytes;
  out << fmt::format(
      "  {:>4} {:>8.0f} {:>8.0f} {:>14} {:>14} {:>14} {:>14}\n", rank, hosted,
      rows_of(p.config.train.batch_size), mebibytes(parameters),
      mebibytes(activations(p, {rank, placement.replica_of(GroupRank(rank)), rows, hosted}) * float_bytes),
      p.ranks == 1 ? "0" : mebibytes(dispatch), p.ranks == 1 ? "0" : mebibytes(outputs));
}

void print_samples(std::ostream& out, const Plan& p, const data::Dataset& dataset) {
  if (const index_t held = dataset.held_bytes(); held > 0)
    out << fmt::format("\nsamples in memory: {} per rank\n", mebibytes(static_cast<double>(held)));
  if (dataset.window() > 0 || dataset.rows(data::Split::train) != nullptr) return;
  double bytes = static_cast<double>(train::HeldSamples::bytes_of(dataset, data::Split::validation));
  if (!dataset.is_augmented(data::Split::train) && p.config.train.epochs > p.ranks)
    bytes += static_cast<double>(train::HeldSamples::bytes_of(dataset, data::Split::train));
  out << fmt::format(
      "samples as floats: at most {} more per rank, where the ranks of a host have room for theirs in a tenth of "
      "its memory\n",
      mebibytes(bytes));
}

// Of a network's arrays in a checkpoint: each is an object of the file, as is each state of the optimiser, and
// so are the groups of their names.
double objects_of(const nn::Network& network, double states) {
  double arrays = 0, layers = 0;
  for (index_t l = 0; l < network.layer_count(); ++l) {
    const auto of_layer = static_cast<double>(network.layer(l).parameters().size());
    arrays += of_layer;
    layers += of_layer > 0 ? 1 : 0;
  }
  return arrays * (1 + states) + 1 + layers + (states > 0 ? 1 + layers + arrays : 0);
}

double checkpoint_bytes(const Plan& p) {
  constexpr double object_bytes = 195;  // beside what it holds: measured with 8,000 experts, HDF5 1.10's format
  const double of_experts = states(p, nn::Role::weight), of_gate = states(p, nn::Role::router);
  const auto experts = static_cast<double>(p.config.moe.experts);
  double floats = p.trunk() * (1 + of_experts), objects = 0;
  if (p.layers() > 0) {
    floats += p.layers() * static_cast<double>(p.gate.parameter_count()) * (1 + of_gate);
    floats += p.layers() * experts * static_cast<double>(p.expert.parameter_count()) * (1 + of_experts);
    objects = p.layers() * experts * objects_of(p.expert, of_experts);
  }
  return floats * float_bytes + objects * object_bytes;
}

}  // namespace

int plan(Arguments arguments) {
  const CommandLine line =
      parse_command_line(arguments, {.schemas = {&run::schema()}, .own = {"ranks", "match"}});
  const int ranks = ranks_of(line);
  const run::Config config = parse_run_options(line);
  const data::Dataset dataset = run::load_data(config);
  const model::Task task = train::task_of(dataset);
  const model::Outline outline = model::outline(run::model_options(config), task);
  const moe::LayerOptions layer = outline.layers.empty() ? moe::LayerOptions{} : outline.layers.front();
  const Plan p{config,
               outline,
               layer,
               nn::Network(layer.gate, layer.gate_options),
               nn::Network(layer.expert, layer.expert_options),
               ranks};
  const moe::Placement placement = moe::Placement::make(config.moe, ranks);
  const data::Batching batching{dataset.size(data::Split::train), config.train.batch_size};

  std::ostringstream out;  // all or nothing: memory may run out between two lines
  out.exceptions(std::ios::badbit);
  out << headline(p)
      << fmt::format("{} steps per epoch, {} epochs; {}{}\n\n", batching.batches_per_epoch(),
                     config.train.epochs, batch_text(config.train), products_text(config.model.transformer));
  if (const std::string images = data::describe_images(config.data); !images.empty())
    out << fmt::format("images {}\n\n", images);
  if (model::reads_tokens(config.model.family)) print_costs(out, outline, placement);
  if (const auto other = line.option("match"))
    print_match(out, {line.positionals.front(), config}, *other, task);
  print_gradients(out, p);
  print_similarity(out, p);
  print_replicas(out, p, placement);
  out << fmt::format(
      "by rank (estimates; {} thread(s); dispatched rows under balanced routing)\n"
      "  {:>4} {:>8} {:>8} {:>14} {:>14} {:>14} {:>14}\n",
      p.threads(), "rank", "experts", dataset.window() > 0 ? "tokens" : "samples", "parameters", "activations",
      "rows in/step", "outputs/step");
  for (int rank = 0; rank < std::min(ranks, 64); ++rank) print_rank(out, p, placement, rank);
  if (ranks > 64) out << "  ...\n";
  print_samples(out, p, dataset);
  out << fmt::format("\ncheckpoint: about {} each, {} kept and the best; run folder {}\n",
                     mebibytes(checkpoint_bytes(p)), config.checkpoint.keep_last, config.run.dir);
  std::cout << out.str();
  return 0;
}

std::string plan_help() {
  return "usage: switchyard plan FILE.ini [--ranks=N] [--match=OTHER.ini] [--section.key=value ...]\n\n"
         "Prints what a run on N ranks would do: which rank hosts how many experts, memory per rank, how "
         "gradients are joined,\n"
         "bytes per step, checkpoint size; of a model of tokens also what a token costs. Starts no training and "
         "writes nothing.\n\n"
         "--match compares a model of tokens with that of OTHER.ini on the same data, and says which sizes would make "
         "its\n"
         "mixture layers cost as much. Keys that are given here are FILE.ini's alone.\n";
}

}  // namespace switchyard::cli
