#include "run/summary.hpp"

#include <nlohmann/json.hpp>

#include "files/regular_file.hpp"
#include "run/metrics.hpp"

namespace switchyard::run {
namespace {

Json split_object(const moe::Statistics* statistics) {
  return statistics == nullptr || statistics->samples() == 0 ? Json(nullptr) : evaluation_object(*statistics);
}

Json best_object(const std::optional<BestEvaluation>& best) {
  if (!best) return nullptr;
  return {{"step", best->step},
          {"epoch", best->epoch},
          {best->score.name, best->score.value},
          {"test", split_object(best->test)}};
}

}  // namespace

Json summary_object(const Summary& summary, const BuildInfo& build) {
  Json train = {
      {"samples_per_second", summary.samples_per_second},
      {"seconds", summary.seconds},
      {"matrix_limit_share", summary.matrix_limit_share > 0 ? Json(summary.matrix_limit_share) : Json(nullptr)},
      {"loss", summary.train_loss}};
  if (summary.training != nullptr) {
    Json evaluated = evaluation_object(*summary.training);
    evaluated.erase("loss");  // the last step's stays
    train.update(evaluated);
  }
  return {{"steps", summary.steps},
          {"parameters", summary.parameters},
          {"seed", summary.seed},
          {"train", std::move(train)},
          {"validation", split_object(summary.validation)},
          {"test", split_object(summary.test)},
          {"best", best_object(summary.best)},
          {"takes_regularisers", summary.takes_regularisers},
          {"exit", {{"code", static_cast<int>(summary.exit_code)}, {"reason", summary.exit_reason}}},
          {"build",
           {{"version", build.version},
            {"commit", build.commit},
            {"compiler", build.compiler},
            {"build_type", build.build_type},
            {"arch", build.arch},
            {"cuda", build.cuda}}}};
}

std::optional<nlohmann::json> finished_summary(const std::filesystem::path& file) {
  if (!files::why_unreadable(file).empty()) return std::nullopt;
  constexpr std::size_t most_bytes = std::size_t{1} << 28;
  nlohmann::json summary =
      nlohmann::json::parse(files::read_regular_file(file, most_bytes), nullptr, /*allow_exceptions=*/false);
  if (!summary.is_object() || !summary.contains("exit") || !summary["exit"].is_object()) return std::nullopt;
  const auto code = summary["exit"].find("code");
  if (code == summary["exit"].end() || *code != static_cast<int>(ExitCode::ok)) return std::nullopt;
  return summary;
}

}  // namespace switchyard::run
