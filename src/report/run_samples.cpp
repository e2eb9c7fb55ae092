#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "report/charts.hpp"
#include "report/html.hpp"
#include "report/predictions.hpp"
#include "report/text.hpp"

namespace switchyard::report {
namespace {

constexpr std::size_t samples_shown = 8;  // of each kind, of an expert
constexpr std::size_t experts_shown = 64;
constexpr std::size_t most_bytes = 1000000;
constexpr index_t picture_side = 56;

// A sample's slots by weight: the expert that took it, and the next.
struct Weights {
  std::int64_t first = -1;
  std::int64_t second = -1;
  double first_weight = 0;
  double second_weight = 0;
};

Weights weights_of(const Predictions& predictions, index_t sample) {
  Weights found;
  for (index_t k = 0; k < predictions.slots; ++k) {
    const auto at = as_size(sample * predictions.slots + k);
    const auto weight = static_cast<double>(predictions.gate_weights[at]);
    const std::int64_t expert = predictions.experts[at];
    if (expert < 0) continue;  // an empty slot
    if (found.first < 0 || weight > found.first_weight) {
      found.second = found.first;
      found.second_weight = found.first_weight;
      found.first = expert;
      found.first_weight = weight;
    } else if (found.second < 0 || weight > found.second_weight) {
      found.second = expert;
      found.second_weight = weight;
    }
  }
  return found;
}

bool has_labels(const Predictions& predictions) {
  return !predictions.labels.empty() && !predictions.predicted.empty();
}

bool is_wrong(const Predictions& predictions, index_t sample) {
  return predictions.of_classes && has_labels(predictions) &&
         predictions.labels[as_size(sample)] != predictions.predicted[as_size(sample)];
}

double certainty_of(const Predictions& predictions, index_t sample) {
  return predictions.certainty.empty() ? 0 : predictions.certainty[as_size(sample)];
}

// How an expert's samples are put in order; larger is more its own.
struct Claim {
  index_t sample = 0;
  double weight = 0;
  double lead = 0;  // before the next expert
  double certainty = 0;
};

// Takes the first `wanted` of `claims` by `before` out of it.
std::vector<index_t> take(std::vector<Claim>& claims, std::size_t wanted, auto before) {
  std::vector<index_t> taken;
  std::ranges::stable_sort(claims, before);
  const std::size_t count = std::min(wanted, claims.size());
  for (std::size_t i = 0; i < count; ++i) taken.push_back(claims[i].sample);
  claims.erase(claims.begin(), claims.begin() + static_cast<std::ptrdiff_t>(count));
  return taken;
}

std::string value_text(const Predictions& predictions, double value) {
  if (!predictions.of_classes) return number_text(value);
  if (value >= 0 && value < static_cast<double>(predictions.class_names.size()))
    return predictions.class_names[static_cast<std::size_t>(value)];
  return fmt::format("{:.0f}", value);
}

std::string label_text(const Predictions& predictions, index_t sample) {
  return value_text(predictions, predictions.labels[as_size(sample)]);
}
std::string predicted_text(const Predictions& predictions, index_t sample) {
  return value_text(predictions, predictions.predicted[as_size(sample)]);
}

// "sample 17: label 9, prediction 7 (0.61), gate weight 0.51, of expert 2 0.48"
std::string sample_text(const Predictions& predictions, index_t sample) {
  const auto at = as_size(sample);
  const Weights weights = weights_of(predictions, sample);
  std::string text = fmt::format("sample {}: ", predictions.ids[at]);
  if (!predictions.labels.empty()) text += fmt::format("label {}, ", label_text(predictions, sample));
  if (predictions.cluster) text += fmt::format("cluster {}, ", predictions.cluster(sample));
  if (!predictions.predicted.empty()) text += fmt::format("prediction {}", predicted_text(predictions, sample));
  if (!predictions.certainty.empty()) text += fmt::format(" ({})", number_text(predictions.certainty[at]));
  text += fmt::format(", gate weight {}", number_text(weights.first_weight));
  if (weights.second >= 0)
    text += fmt::format(", of expert {} {}", weights.second, number_text(weights.second_weight));
  return text;
}

// Below a picture: its cluster, and "9", or "9 → 7" where that is what was said of it, or that alone without a
// label.
std::string caption_html(const Predictions& predictions, index_t sample) {
  std::string text;
  if (!predictions.labels.empty()) text = label_text(predictions, sample);
  const bool differs = !has_labels(predictions) || !predictions.of_classes || is_wrong(predictions, sample);
  if (!predictions.predicted.empty() && differs)
    text += (text.empty() ? "" : " → ") + predicted_text(predictions, sample);
  const std::string cluster = predictions.cluster ? escape(predictions.cluster(sample)) + "<br>" : "";
  return fmt::format("{}<b{}>{}</b><br>{}", cluster, is_wrong(predictions, sample) ? " class=\"wrong\"" : "",
                     escape(text), number_text(weights_of(predictions, sample).first_weight));
}

std::string sheet_html(const Predictions& predictions, std::string_view title,
                       const std::vector<index_t>& samples) {
  if (samples.empty()) return "";
  std::string html = fmt::format("<p class=\"note\">{}</p>\n<ul class=\"samples\">\n", title);
  for (const index_t sample : samples) {
    html +=
        fmt::format("<li>{}{}</li>\n",
                    picture_html(predictions.picture(sample), picture_side, sample_text(predictions, sample)),
                    caption_html(predictions, sample));
  }
  return html + "</ul>\n";
}

void add_rows(const Predictions& predictions, std::string_view kind, const std::vector<index_t>& samples,
              Table& table) {
  for (const index_t sample : samples) {
    const auto at = as_size(sample);
    const Weights weights = weights_of(predictions, sample);
    std::vector<std::string> row = {escape(kind), fmt::format("{}", predictions.ids[at])};
    if (predictions.cluster) row.push_back(escape(predictions.cluster(sample)));
    if (!predictions.labels.empty()) row.push_back(escape(label_text(predictions, sample)));
    if (!predictions.predicted.empty()) {
      const std::string text = escape(predicted_text(predictions, sample));
      row.push_back(is_wrong(predictions, sample) ? fmt::format("<b class=\"wrong\">{}</b>", text) : text);
    }
    if (!predictions.certainty.empty()) row.push_back(number_text(predictions.certainty[at]));
    row.push_back(number_text(weights.first_weight));
    row.push_back(
        weights.second < 0 ? "–" : fmt::format("{} ({})", number_text(weights.second_weight), weights.second));
    table.rows.push_back(std::move(row));
  }
}

std::string sample_table(const Predictions& predictions, const TakenSamples& taken) {
  Table table{{"", "id"}, {}, 1};
  if (predictions.cluster) table.head.emplace_back("cluster");
  if (!predictions.labels.empty()) table.head.emplace_back("label");
  if (!predictions.predicted.empty()) table.head.emplace_back("prediction");
  if (!predictions.certainty.empty()) table.head.emplace_back("probability");
  table.head.emplace_back("gate weight");
  table.head.emplace_back("of the next expert");
  add_rows(predictions, "most certain", taken.certain, table);
  add_rows(predictions, "most contested", taken.contested, table);
  return table_html(table);
}

std::string title_of(const Predictions& predictions, const TakenSamples& taken) {
  std::string title =
      fmt::format("Expert {}: {} samples", taken.expert, number_text(static_cast<double>(taken.count)));
  if (predictions.of_classes && has_labels(predictions)) {
    title += fmt::format(
        ", {} of them wrong",
        number_text(static_cast<double>(taken.wrong) / static_cast<double>(taken.count), NumberStyle::percent));
  }
  return title;
}

std::string experts_html(const Predictions& predictions, std::size_t wanted, bool pictures) {
  std::string html;
  std::vector<TakenSamples> all = taken_samples(predictions, wanted);
  const bool fold = all.size() > 12;
  if (all.size() > experts_shown) all.resize(experts_shown);
  for (const TakenSamples& taken : all) {
    const std::string body = pictures ? sheet_html(predictions, "Most certain", taken.certain) +
                                            sheet_html(predictions, "Most contested", taken.contested)
                                      : sample_table(predictions, taken);
    html += fold ? details_html(title_of(predictions, taken), body)
                 : fmt::format("<div class=\"card\"><h3>{}</h3>\n{}</div>\n",
                               escape(title_of(predictions, taken)), body);
  }
  return html;
}

// True class by the expert that took the sample: where wrong predictions are.
std::string errors_html(const Predictions& predictions) {
  if (!predictions.of_classes || !has_labels(predictions) || predictions.ids.empty()) return "";
  const auto classes = static_cast<std::size_t>(std::ranges::max(predictions.labels)) + 1;
  const std::size_t experts = as_size(std::ranges::max(predictions.experts)) + 1;
  constexpr std::size_t most_cells = 4000;  // of a map that is still read
  if (classes > most_cells || experts > most_cells || classes * experts > most_cells) return "";
  HeatMap map{fmt::format("Wrong predictions ({})", predictions.split), "true class",
              "expert with the largest weight", std::vector(classes, std::vector<std::int64_t>(experts)),
              "Samples that were predicted wrongly."};
  if (!predictions.class_names.empty()) {
    for (std::size_t label = 0; label < classes; ++label)
      map.row_names.push_back(value_text(predictions, static_cast<double>(label)));
  }
  for (index_t n = 0; n < predictions.samples(); ++n) {
    if (!is_wrong(predictions, n) || weights_of(predictions, n).first < 0) continue;
    ++map.counts[static_cast<std::size_t>(predictions.labels[as_size(n)])]
                [as_size(weights_of(predictions, n).first)];
  }
  return figure_grid({draw(map)});
}

}  // namespace

std::vector<TakenSamples> taken_samples(const Predictions& predictions, std::size_t wanted) {
  std::map<std::int64_t, std::vector<Claim>> claims;
  std::map<std::int64_t, index_t> wrong;
  for (index_t n = 0; n < predictions.samples(); ++n) {
    const Weights weights = weights_of(predictions, n);
    if (weights.first < 0) continue;
    // With one slot there is no next expert: what the sample has less of than 1 is others'.
    const double lead =
        weights.second < 0 ? weights.first_weight : weights.first_weight - weights.second_weight;
    claims[weights.first].push_back({n, weights.first_weight, lead, certainty_of(predictions, n)});
    if (is_wrong(predictions, n)) ++wrong[weights.first];
  }
  std::vector<TakenSamples> all;
  for (auto& [expert, of_expert] : claims) {
    TakenSamples taken{expert, static_cast<index_t>(of_expert.size()), wrong[expert], {}, {}};
    // Of few samples each list has its part.
    const std::size_t count = std::min(wanted, (of_expert.size() + 1) / 2);
    taken.certain = take(of_expert, count, [](const Claim& a, const Claim& b) {
      return std::tie(a.weight, a.certainty) > std::tie(b.weight, b.certainty);
    });
    taken.contested = take(of_expert, count, [](const Claim& a, const Claim& b) {
      return std::tie(a.lead, a.certainty) < std::tie(b.lead, b.certainty);
    });
    all.push_back(std::move(taken));
  }
  return all;
}

std::string run_samples(const Predictions& predictions) {
  if (predictions.ids.empty()) return "";
  const bool pictures = predictions.picture && !predictions.picture(0).empty();
  std::string html = experts_html(predictions, samples_shown, pictures);
  for (std::size_t fewer = samples_shown / 2; fewer > 0 && html.size() > most_bytes; fewer /= 2)
    html = experts_html(predictions, fewer, pictures);
  const std::size_t experts = taken_samples(predictions, 1).size();
  std::string note = fmt::format(
      "{} samples of the {} split, by {}, each with the expert of the largest gate weight: those that an expert has most "
      "of, and those that the next one nearly has as much of (with one expert a sample: those that it has least of).",
      number_text(static_cast<double>(predictions.samples())), predictions.split, predictions.checkpoint);
  if (pictures) {
    note += fmt::format(
        " Below a picture: {}{}, and the gate weight.", predictions.cluster ? "its cluster, " : "",
        has_labels(predictions) ? "the true class, what it was taken for instead" : "what it was taken for");
  }
  if (!predictions.is_of_run)
    note += " The run does not hold this checkpoint: whether they are of its model is not known.";
  if (experts > experts_shown) note += fmt::format(" The first {} of {} experts.", experts_shown, experts);
  return fmt::format("<p class=\"note\">{}</p>\n{}{}", escape(note), errors_html(predictions), html);
}

}  // namespace switchyard::report
