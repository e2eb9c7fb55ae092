#include "run/metrics.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstddef>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "base/lines.hpp"
#include "base/log.hpp"
#include "base/wall_clock.hpp"
#include "files/regular_file.hpp"
#include "files/replacement.hpp"
#include "moe/regularisers.hpp"

namespace switchyard::run {
namespace {

using moe::RoutingStatistics;
using CountOf = std::int64_t (RoutingStatistics::*)(index_t, index_t) const;

// [kinds][experts]
Json count_table(const RoutingStatistics& statistics, index_t kinds, CountOf count_of) {
  Json table = Json::array();
  for (index_t k = 0; k < kinds; ++k) {
    Json row = Json::array();
    for (index_t e = 0; e < statistics.experts(); ++e) row.push_back((statistics.*count_of)(k, e));
    table.push_back(std::move(row));
  }
  return table;
}

Json load_of(const RoutingStatistics& statistics) {
  Json load = Json::array();
  for (index_t e = 0; e < statistics.experts(); ++e) load.push_back(statistics.load(e));
  return load;
}

double rate(std::int64_t samples, double seconds) {
  return seconds > 0 ? static_cast<double>(samples) / seconds : 0.0;
}

constexpr std::string_view step_line = R"({"kind":"step",)";

bool belongs(const std::string& line, index_t step) {
  const Json object = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return false;  // also of what is no JSON
  const auto found = object.find("step");
  return found == object.end() || (found->is_number() && found->get<double>() <= static_cast<double>(step));
}

void add_routing(RecordSink& line, const RoutingStatistics& routing) {
  line.open_array("importance");
  for (const double weights : routing.importance) line.add(weights);
  line.close_array();
  line.open_array("load");
  for (index_t e = 0; e < routing.experts(); ++e) line.add(routing.load(e));
  line.close_array();
  if (routing.is_limited) line.add("dropped", routing.dropped_share());
  line.add("h_s", routing.sample_entropy());
  line.add("h_s_chosen", routing.chosen_entropy());
  line.add("h_u", routing.usage_entropy());
  if (routing.classes() > 0) {
    line.add("mi_predicted", routing.mutual_information_predicted());
    line.add("mi_true", routing.mutual_information_true());
  }
  if (routing.groups() > 0) line.add("dispatch_entropy", routing.dispatch_entropy());
  line.open_array("dead_experts");
  for (index_t e = 0; e < routing.experts(); ++e) {
    if (routing.is_dead(e)) line.add(e);
  }
  line.close_array();
}

// The figures of a mixture layer that summaries have too.
Json routing_object(const RoutingStatistics& routing) {
  Json object = {{"h_s", routing.sample_entropy()},
                 {"h_s_chosen", routing.chosen_entropy()},
                 {"h_u", routing.usage_entropy()}};
  if (routing.classes() > 0) {
    object["mi_predicted"] = routing.mutual_information_predicted();
    object["mi_true"] = routing.mutual_information_true();
    object["dispatch_entropy_label"] = routing.dispatch_entropy_label();
  }
  if (routing.groups() > 0) object["dispatch_entropy"] = routing.dispatch_entropy();
  object["largest_share"] = routing.largest_share();
  object["active_experts"] = routing.active_experts();
  object["expert_share"] = routing.expert_share();
  object["importance_share"] = routing.importance_share();
  object["load"] = load_of(routing);
  object["dead_experts"] = routing.dead_experts();
  if (routing.is_limited) object["dropped"] = routing.dropped_share();
  if (routing.classes() > 0)
    object["class_by_expert"] = count_table(routing, routing.classes(), &RoutingStatistics::by_label);
  if (routing.groups() > 0) {
    object[fmt::format("{}_by_expert", routing.kinds().group)] =
        count_table(routing, routing.groups(), &RoutingStatistics::by_group);
  }
  return object;
}

// Those that only lines of evaluations have.
void add_details(Json& object, const RoutingStatistics& routing) {
  if (routing.classes() > 0) {
    object["class_by_expert_predicted"] =
        count_table(routing, routing.classes(), &RoutingStatistics::by_prediction);
  }
}

}  // namespace

void write_step(RecordSink& line, const StepRecord& record, const moe::Statistics& statistics,
                const PhaseClock::Seconds& seconds) {
  line.begin();
  line.add("kind", "step");
  line.add("step", record.step);
  line.add("epoch", record.epoch);
  line.add("samples", statistics.samples());
  line.add("loss", record.loss);
  line.add("task_loss", statistics.task_loss());
  const Span<const moe::RegulariserKind> kinds = moe::regulariser_kinds();
  SY_EXPECTS(record.regularisers.size() == kinds.size(), "losses of {} regularisers, not of {}",
             record.regularisers.size(), kinds.size());
  for (std::size_t i = 0; i < kinds.size(); ++i) line.add(kinds[i].loss, record.regularisers[i]);
  if (statistics.is_regression())
    line.add("mean_squared_error", statistics.mean_squared_error());
  else
    line.add("error", statistics.error());
  line.add("gradient_norm", record.gradient_norm);
  line.add("learning_rate", record.learning_rate);
  if (statistics.is_one_layer()) {
    add_routing(line, statistics.routing());
  } else {
    line.open_array("layers");
    for (const moe::Statistics::Layer& layer : statistics.layers) {
      line.open_object();
      line.add("name", std::string_view(layer.name));
      add_routing(line, layer.routing);
      line.close_object();
    }
    line.close_array();
  }
  line.open_object("time");
  line.add("at", IsoTime(record.at).text());
  for (std::size_t phase = 0; phase < phase_count; ++phase) {
    line.add(name(static_cast<Phase>(phase)), seconds[phase]);
  }
  const double step_seconds = std::accumulate(seconds.begin(), seconds.end(), 0.0);
  line.add("step", step_seconds);
  line.add("samples_per_second", rate(statistics.samples(), step_seconds));
  line.add("sent_rows", statistics.sent_rows());
  line.close_object();
  line.end();
}

Json evaluation_object(const moe::Statistics& statistics) {
  Json object;
  if (statistics.is_regression()) {
    object["mean_squared_error"] = statistics.mean_squared_error();
    object["r2"] = statistics.r2();
  } else {
    object["error"] = statistics.error();
  }
  object["loss"] = statistics.likelihood_loss();
  object["task_loss"] = statistics.task_loss();
  if (statistics.is_one_layer()) {
    object.update(routing_object(statistics.routing()));
    for (const auto& [member, names] :
         {std::pair{"classes", &statistics.names->classes}, {"clusters", &statistics.names->groups}}) {
      if (!names->empty()) object[member] = *names;
    }
    return object;
  }
  object["perplexity"] = statistics.perplexity();
  object["bits_per_byte"] = statistics.bits_per_byte();
  object["domains"] = statistics.names->groups;
  Json layers = Json::array();
  for (const moe::Statistics::Layer& layer : statistics.layers) {
    layers.push_back({{"name", layer.name}});
    layers.back().update(routing_object(layer.routing));
  }
  object["layers"] = std::move(layers);
  return object;
}

Json evaluation_record_object(const EvaluationRecord& record, const moe::Statistics& statistics) {
  Json object = {
      {"kind", "evaluation"}, {"split", record.split}, {"step", record.step}, {"epoch", record.epoch}};
  object.update(evaluation_object(statistics));
  if (statistics.is_one_layer()) {
    add_details(object, statistics.routing());
  } else {
    for (std::size_t l = 0; l < statistics.layers.size(); ++l)
      add_details(object["layers"][l], statistics.layers[l].routing);
  }
  object["time"] = {{"at", IsoTime(record.at).text()},
                    {"evaluation", record.seconds},
                    {"samples_per_second", rate(statistics.samples(), record.seconds)}};
  return object;
}

void MetricsWriter::write_step(const StepRecord& record, const moe::Statistics& statistics,
                               const PhaseClock::Seconds& seconds) {
  run::write_step(step_line_, record, statistics, seconds);
  file_.append(step_line_.text());
}

void MetricsWriter::write(const Json& object) {
  file_.append(object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

index_t cut_metrics(const std::filesystem::path& path, index_t step, index_t every) {
  const auto warn_of_gap = [&](index_t steps) {
    if (steps >= step / every) return;
    log::warn(
        "'{}' has {} of the {} steps before the checkpoint (its end was lost, it was changed or taken away, or "
        "metrics.every_steps was larger); figures of a report have a gap there",
        path.string(), steps, step / every);
  };
  if (!files::is_there(path)) {
    warn_of_gap(0);
    return 0;
  }
  if (const std::string reason = files::why_unreadable(path); !reason.empty()) {
    throw DataError(fmt::format("cannot read '{}' ({}); take it away, and the run goes on with a new one",
                                path.string(), reason));
  }
  std::ifstream lines(path);
  files::ReplacementFile kept(path);
  index_t removed = 0;
  index_t steps = 0;
  for (std::string line; next_line(lines, line);) {
    if (belongs(line, step)) {
      kept.write(line + "\n");
      if (line.starts_with(step_line)) ++steps;
    } else {
      ++removed;
    }
  }
  if (lines.bad()) files::throw_data_error(files::SystemFailure("read", path, errno));
  kept.publish();
  warn_of_gap(steps);
  return removed;
}

}  // namespace switchyard::run
