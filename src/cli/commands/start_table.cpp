#include "cli/commands/start_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <iterator>

#include "base/build_info.hpp"
#include "device/describe.hpp"
#include "model/outline.hpp"
#include "optim/optimiser.hpp"
#include "run/config.hpp"
#include "run/start_warnings.hpp"

namespace switchyard::cli {
namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;

// "1 domain", "2 domains"
std::string counted(index_t count, std::string_view one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

// Which batches read samples where they lie.
std::string held_text(const train::BatchLoader& loader) {
  if (loader.dataset().window() > 0) return "none: they are tokens";
  if (loader.dataset().rows(data::Split::train) != nullptr) return "all";
  if (loader.held_bytes() == 0) return "made for each batch";
  return fmt::format("kept from their first use, at most {:.1f} MiB per rank",
                     static_cast<double>(loader.held_bytes()) / (1 << 20));
}

// "windows of 128 bytes, 3 domains"; of tokens also how many there are.
std::string windows_text(const data::Dataset& dataset) {
  std::string text = fmt::format("windows of {} {}, ", dataset.window(), dataset.counted());
  if (dataset.token_name() != "byte")
    text += fmt::format("vocabulary {}, ", console::grouped(dataset.class_count()));
  return text + counted(dataset.group_count(), "domain");
}

// "0 cat, 1 dog"; the first ones of many.
std::string classes_text(const std::vector<std::string>& names) {
  constexpr std::size_t most = 10;
  std::string text;
  for (std::size_t label = 0; label < std::min(most, names.size()); ++label)
    text += fmt::format("{}{} {}", label > 0 ? ", " : "", label, names[label]);
  return names.size() > most ? fmt::format("{}, ... {} {}", text, names.size() - 1, names.back()) : text;
}

Rows data_rows(const run::Config& config, const train::BatchLoader& loader) {
  const data::Dataset& dataset = loader.dataset();
  const tensor::SampleShape shape = dataset.shape();
  Rows rows{{"source", data::describe(run::data_options(config))},
            {"samples",
             fmt::format("{} train, {} validation, {} test", console::grouped(dataset.size(data::Split::train)),
                         console::grouped(dataset.size(data::Split::validation)),
                         console::grouped(dataset.size(data::Split::test)))},
            {"shape", dataset.window() > 0 ? windows_text(dataset)
                                           : fmt::format("{} x {} x {}, {} classes", shape.channels,
                                                         shape.height, shape.width, dataset.class_count())},
            {"as floats", held_text(loader)}};
  if (const std::vector<std::string> names = dataset.class_names(); !names.empty())
    rows.insert(rows.end() - 1, {"classes", classes_text(names)});
  if (std::string images = data::describe_images(config.data); !images.empty())
    rows.emplace_back("images", std::move(images));
  return rows;
}

std::string text_of(const run::Config& config, std::string_view key) { return run::schema().text(config, key); }

// "sgd, rate 0.1" where the gate has its own; empty where it shares the experts'.
std::string gate_optimiser_text(const run::Config& config) {
  if (config.optim.gate_name == optim::OptimiserKind::same && config.optim.gate_learning_rate == 0) return "";
  return fmt::format(
      "; gate: {}, rate {}", text_of(config, "optim.gate_name"),
      config.optim.gate_learning_rate > 0 ? config.optim.gate_learning_rate : config.optim.learning_rate);
}

// "1,234 (gate 34, an expert 240)"
std::string parameters_text(const model::Outline& outline) {
  std::string all = console::grouped(outline.cost().parameters);
  if (outline.layers.empty()) return all;
  const moe::LayerOptions& layer = outline.layers.front();
  std::string parts =
      fmt::format("gate {}, an expert {}", console::grouped(nn::Network(layer.gate).parameter_count()),
                  console::grouped(nn::Network(layer.expert).parameter_count()));
  if (const index_t trunk = outline.trunk().parameters; trunk > 0) {
    parts = fmt::format("{} outside of gates and experts; in each of {}: {}", console::grouped(trunk),
                        counted(std::ssize(outline.layers), "mixture layer"), parts);
  }
  return fmt::format("{} ({})", all, parts);
}

std::string experts_text(const moe::RouterOptions& router, std::string_view row) {
  const std::string choice = choice_text(router);
  return fmt::format("{}, {}{}", router.experts, choice,
                     choice == "dense" ? fmt::format(" (every expert sees every {})", row) : "");
}

// "likelihood + 0.2 importance + 1 similarity"
std::string loss_text(const run::Config& config) {
  std::string text = model::reads_tokens(config.model.family) ? "cross-entropy of the next token"
                                                              : text_of(config, "model.loss");
  for (const auto& [key, weight] : moe::regulariser_weights(config.moe)) {
    if (weight > 0) text += fmt::format(" + {} {}", weight, key);
  }
  return text;
}

// "hidden 384, and 3 mixture layers"
std::string feed_forward_text(const model::Options& options) {
  const index_t mixtures = model::inner_layers(options);
  std::string dense =
      mixtures == options.transformer.layers ? "" : fmt::format("hidden {}", options.transformer.hidden);
  if (mixtures == 0) return dense;
  return fmt::format("{}{}{}", dense, dense.empty() ? "" : ", and ", counted(mixtures, "mixture layer"));
}

std::string variants_text(const model::TransformerOptions& of) {
  return fmt::format("{}{}{}", of.tied ? "" : "; scores of their own",
                     of.dropout > 0 ? fmt::format("; dropout {}", of.dropout) : "",
                     of.across_documents ? "" : "; documents apart");
}

std::string family_text(const model::Options& options) {
  if (options.family == model::Family::tokens)
    return fmt::format("tokens, {} of width {}", counted(options.tokens.blocks, "block"), options.tokens.width);
  const model::TransformerOptions& of = options.transformer;
  return fmt::format("transformer, {} of width {}, {}; {}{}{}", counted(of.layers, "layer"), of.width,
                     counted(of.heads, "head"), feed_forward_text(options), products_text(of),
                     variants_text(of));
}

// "SwiGLU, hidden 144, of 2 sub-tokens; head and merge; a shared expert, hidden 384"
std::string expert_text(const moe::Options& moe) {
  std::string text = fmt::format("SwiGLU, hidden {}", moe.hidden);
  if (moe.sub_heads > 1) text += fmt::format(", of {} sub-tokens", moe.sub_heads);
  const bool head = moe::has(moe.head, moe), merge = moe::has(moe.merge, moe);
  if (head || merge) text += head && merge ? "; head and merge" : head ? "; head" : "; merge";
  if (moe.shared_hidden > 0) text += fmt::format("; a shared expert, hidden {}", moe.shared_hidden);
  return text;
}

Rows model_rows(const run::Config& config, const data::Dataset& dataset) {
  const model::Outline outline = model::outline(run::model_options(config), train::task_of(dataset));
  const bool is_text = model::reads_tokens(config.model.family);
  const bool has_texts = config.model.family != model::Family::transformer;  // of its networks
  Rows rows;
  if (is_text) rows.emplace_back("family", family_text(config.model));
  if (!outline.layers.empty()) {
    const moe::LayerOptions& layer = outline.layers.front();
    rows.insert(rows.end(),
                {{has_texts ? "gate" : "router", has_texts ? config.model.gate : text_of(config, "moe.router")},
                 {"expert", has_texts ? config.model.expert : expert_text(config.moe)},
                 {"experts", experts_text(layer.routing, is_text ? "token" : "sample")},
                 {"routing", layer.routing.kind.describe(layer.routing, layer.gate)}});
  }
  rows.insert(rows.end(), {{"loss", loss_text(config)}, {"parameters", parameters_text(outline)}});
  return rows;
}

enum class Mixtures { none, some };

Rows layout_rows(const Runtime& runtime, const moe::Placement& placement, Mixtures has) {
  const int ranks = placement.rank_count();
  std::string hosted;
  for (int rank = 0; rank < std::min(ranks, 16); ++rank) {
    hosted += fmt::format("{}{}", rank == 0 ? "" : " ", placement.hosted_by(GroupRank(rank)).size());
  }
  if (ranks > 16) hosted += " ...";
  Rows rows = {{"ranks", fmt::format("{} on {} node(s)", ranks, runtime.nodes().nodes)},
               {"threads", fmt::format("{} per rank", runtime.threads())}};
  if (!runtime.data_plane_text().empty()) rows.emplace_back("data plane", runtime.data_plane_text());
  if (has == Mixtures::none) return rows;
  rows.emplace_back("experts per rank", hosted);
  if (placement.replicas() > 1)
    rows.emplace_back("replicas", fmt::format("{} of each expert", placement.replicas()));
  return rows;
}

std::string first_weights_text(const run::Config& config, const run::InheritedWeights& inherited) {
  std::string drawn = config.init.draw == 0 ? "drawn" : fmt::format("draw {}", config.init.draw);
  if (inherited.checkpoint.empty()) return drawn;
  const std::string& from = inherited.checkpoint;
  const bool whole = config.init.parts == run::InitOptions().parts;
  std::string text = whole ? fmt::format("the weights of {}", from)
                           : fmt::format("{} of {}; the rest {}", config.init.parts, from, drawn);
  if (inherited.has_copies) text += "; experts are copies of its feed-forward networks";
  if (!inherited.drawn_arrays.empty())
    text += fmt::format("; {} {}", fmt::join(inherited.drawn_arrays, ", "), drawn);
  return text;
}

// " of weight, bias" where there is a weight decay and not every parameter has it.
std::string decaying_text(const optim::Options& options) {
  std::vector<std::string_view> decaying;
  for (std::size_t role = 0; role < nn::role_names.size(); ++role) {
    if (optim::decays(options, static_cast<nn::Role>(role))) decaying.push_back(nn::role_names[role]);
  }
  if (options.weight_decay == 0 || decaying.size() == nn::role_names.size()) return "";
  return fmt::format(" of {}", fmt::join(decaying, ", "));
}

// "adam, rate 0.001, weight decay 0, clip 0", and the gate's own where it has one.
std::string optimiser_text(const run::Config& config) {
  return fmt::format("{}, rate {}, weight decay {}{}, clip {}{}", text_of(config, "optim.name"),
                     config.optim.learning_rate, config.optim.weight_decay, decaying_text(config.optim),
                     config.optim.clip_norm, gate_optimiser_text(config));
}

// "cosine", "warmup_stable_decay in the last 0.2 to 0.1": where it falls, and to what part of the rate if not
// 0.
std::string schedule_text(const run::Config& config) {
  std::string text = text_of(config, "optim.schedule");
  if (config.optim.schedule == optim::ScheduleKind::warmup_stable_decay)
    text += fmt::format(" in the last {}", config.optim.decay_share);
  if (config.optim.floor > 0) text += fmt::format(" to {}", config.optim.floor);
  return text;
}

Rows training_rows(const run::PreparedRun& prepared, run::Loop& loop) {
  const run::Config& config = prepared.config;
  const bool resumed = !prepared.checkpoint.empty();
  return {{"steps", fmt::format("{} ({} per epoch), {}", console::grouped(loop.last_step()),
                                loop.loader().training().batches_per_epoch(), batch_text(config.train))},
          {"frozen", text_of(config, "train.freeze")},
          {"optimiser", optimiser_text(config)},
          {"schedule", fmt::format("{}, warm-up {} steps, horizon {}", schedule_text(config),
                                   config.optim.warmup_steps, loop.horizon())},
          {"precision", text_of(config, "train.precision")},
          {"seed", fmt::format("{}", config.run.seed)},
          {"run folder", config.run.dir},
          {"first weights", resumed ? "the run's own" : first_weights_text(config, prepared.inherited)},
          {"goes on from", resumed ? prepared.checkpoint : "the start"}};
}

}  // namespace

std::string batch_text(const train::Options& options) {
  const std::string parts = options.parts > 1 ? fmt::format(", in {} parts", options.parts) : "";
  return fmt::format("batch {} in {} shards{}", options.batch_size, options.shards, parts);
}

std::string_view products_text(const model::TransformerOptions& of) {
  if (of.quantise == nn::Quantiser::none) return "";
  return of.integer_products ? "; weights -1, 0 and 1, products in int8" : "; weights -1, 0 and 1";
}

std::string choice_text(const moe::RouterOptions& router) {
  if (!router.kind.choice.empty()) return std::string(router.kind.choice);
  return router.top_k == 0 ? "dense" : fmt::format("top-{}", router.top_k);
}

void print_start_table(Runtime& runtime, const run::PreparedRun& prepared, const data::Dataset& dataset,
                       run::Loop& loop) {
  if (!runtime.is_root()) return;
  const run::Config& config = prepared.config;
  const device::MachineInfo machine = device::describe_machine();
  const moe::Placement placement = moe::Placement::make(config.moe, runtime.communicator().size());
  console::StartTable table;
  table.sections.push_back({"data", data_rows(config, loop.loader())});
  table.sections.push_back({"model", model_rows(config, dataset)});
  table.sections.push_back(
      {"layout",
       layout_rows(runtime, placement, model::has_mixture(config.model) ? Mixtures::some : Mixtures::none)});
  table.sections.push_back({"training", training_rows(prepared, loop)});
  table.sections.push_back({"machine",
                            {{"device", runtime.device_text()},
                             {"processor", fmt::format("{}, {} cores", machine.cpu_model, machine.cores)},
                             {"instructions", machine.amx_bf16      ? "AVX-512, AMX bf16"
                                              : machine.avx512_bf16 ? "AVX-512, AVX-512 bf16 (no AMX)"
                                              : machine.avx512f     ? "AVX-512"
                                                                    : "AVX2 or less"},
                             {"build", describe(build_info())}}});
  table.warnings = runtime.warnings();
  std::ranges::move(run::start_warnings(config, dataset, placement, runtime.device_kind()),
                    std::back_inserter(table.warnings));
  std::cout << console::start_table(table, console::detect_terminal(1).style) << std::flush;
}

}  // namespace switchyard::cli
