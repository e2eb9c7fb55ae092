#include <fmt/format.h>

#include <cmath>

#include "report/html.hpp"
#include "report/pages.hpp"
#include "report/predictions.hpp"
#include "report/run_sections.hpp"
#include "report/text.hpp"

namespace switchyard::report {
namespace {

struct Score {
  std::string_view name;
  std::string_view label;
  std::string_view note;
};
constexpr Score scores[] = {
    {"error", "error", "of the mixture"},
    {"r2", "R²", "share of the variance that is predicted"},
    {"mean_squared_error", "mean squared error", ""},
    {"loss", "loss", "-log p, nats"},
};
constexpr Score text_scores[] = {
    {"loss", "loss", "-log p, nats a token"},
    {"perplexity", "perplexity", "exp(loss)"},
    {"bits_per_byte", "bits per byte", "the loss, in bits"},
    {"error", "error", "tokens that were not the most probable"},
};
constexpr Score expert_scores[] = {
    {"mi_predicted", "I(E;Y), predicted", "bits, expert and its class"},
    {"mi_true", "I(E;Y), true", "bits, expert and true class"},
    {"h_s", "H_s", "bits, softmax of a sample over all experts"},
    {"h_u", "H_u", "bits, usage of the experts"},
    {"dispatch_entropy", "dispatch entropy", "nats"},
};

Tile number_tile(std::string label, double value, std::string_view id, std::string note = "") {
  return {std::move(label), data_element(value, style_of(id), id), std::move(note)};
}

void add_scores(const RunData& run, Span<const Score> shown, std::vector<Tile>& tiles) {
  for (const Score& score : shown) {
    // Without a density the loss is the mean squared error, which has a tile.
    if (score.name == "loss" && run.has_squared_error()) continue;
    const Found found = find_evaluation(run, score.name);
    if (found.object.is_null()) continue;
    const std::string split = found.of.substr(0, found.of.find(','));
    std::string note(score.note);
    if (found.of != split) note += found.of.substr(split.size());
    tiles.push_back(number_tile(fmt::format("{} {}", split, score.label), number_of(found.object, score.name),
                                fmt::format("{}.{}", split, score.name), note));
  }
}

std::string headline_tiles(const RunData& run) {
  std::vector<Tile> tiles;
  const bool is_mixture = !run.of_text();
  add_scores(run, is_mixture ? Span(scores) : Span(text_scores), tiles);
  // A single expert has nothing to choose, and so no entropies.
  if (is_mixture && run.experts() != 1) add_scores(run, expert_scores, tiles);
  const Json& exit = member(run.summary, "exit");
  const double steps = number_of(run.summary, "steps");
  tiles.push_back(number_tile(
      "steps", std::isfinite(steps) ? steps : run.steps.last_step, "steps",
      run.steps.last_epoch > 0
          ? fmt::format("{:.0f} {} begun", run.steps.last_epoch, run.steps.last_epoch == 1 ? "epoch" : "epochs")
          : ""));
  tiles.push_back(number_tile("parameters", number_of(run.summary, "parameters"), "parameters"));
  tiles.push_back(number_tile(is_mixture ? "samples per second" : "tokens per second", samples_per_second(run),
                              "train.samples_per_second", "training steps alone"));
  if (exit.is_object()) {
    tiles.push_back(number_tile("exit code", number_of(exit, "code"), "exit.code", string_of(exit, "reason")));
  } else {
    tiles.push_back({"exit code", "–", "not finished"});
  }
  return tiles_html(tiles);
}

// "runs/one/" is called "one", and "." by the folder that it is.
std::string folder_name(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(folder, error).lexically_normal();
  if (path.filename().empty()) path = path.parent_path();
  return path.filename().string();
}

std::string subtitle(const RunData& run, const Headline& headline) {
  std::string out;
  for (const auto& [key, label] : headline) {
    const std::string_view value = run.setting(key);
    if (value.empty()) continue;
    // A model of text without a layer is none of a mixture.
    if (key.starts_with("moe.") && run.of_text() && run.layers.empty()) continue;
    out += fmt::format("{}{} {}", out.empty() ? "" : " · ", label, escape(value));
  }
  return out;
}

std::string configuration(const RunData& run) {
  std::string out;
  if (!run.config_text.empty()) {
    out += details_html("config.ini", fmt::format("<pre>{}</pre>\n", escape(run.config_text)));
  }
  const Json& build = member(run.summary, "build");
  if (build.is_object()) {
    Table table{{"build", "of the binary that ended the run"}, {}, 2};
    for (const auto& [name, value] : build.items()) {
      table.rows.push_back({escape(name), escape(value.is_string() ? value.get<std::string>() : value.dump())});
    }
    out += details_html("Build", table_html(table));
  }
  return out;
}

}  // namespace

std::string run_page(const std::filesystem::path& folder, const Headline& headline,
                     const Predictions* predictions) {
  const RunData run = read_run(folder);
  std::string html = headline_tiles(run) + warnings_html(run_warnings(run)) +
                     section_html("learning", "Learning", run_learning(run));
  if (!run.of_text() && run.experts() != 1) html += section_html("experts", "Experts", run_experts(run));
  html += run_layers(run);
  if (predictions != nullptr)
    html += section_html("samples", "Samples that each expert took", run_samples(*predictions));
  html += section_html("time", "Time", run_time(run)) +
          section_html("configuration", "Configuration", configuration(run));
  return document_html({fmt::format("Run {}", folder_name(folder)), subtitle(run, headline), html});
}

}  // namespace switchyard::report
