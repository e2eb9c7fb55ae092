#include "model/head.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/error.hpp"
#include "model/model.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::model {
namespace {

template <std::size_t... row>
std::unique_ptr<Head> make_head(const ModelOptions& mixture, const Task& task, std::index_sequence<row...>) {
  std::unique_ptr<Head> head;
  const auto make = [&]<Loss loss>(Of<loss> of) {
    if (loss == mixture.networks.loss) head = make_head(of, mixture, task);
  };
  (make(Of<head_kinds[row].value>{}), ...);
  return head;
}

}  // namespace

std::unique_ptr<Head> make_head(const ModelOptions& mixture, const Task& task) {
  const HeadKind& kind = kind_of(mixture.networks.loss);
  if (kind.of_numbers != (task.targets > 0))
    throw ConfigError(fmt::format("model.loss = {} is of {}, and the labels are {}; use another loss",
                                  kind.name, kind.of_numbers ? "real numbers" : "classes",
                                  kind.of_numbers ? "classes" : "real numbers"));
  return make_head(mixture, task, std::make_index_sequence<head_kinds.size()>{});
}

Scores allocate_scores(device::Workspace& workspace, index_t samples) {
  return {workspace.allocate<float>(samples), workspace.allocate<std::int32_t>(samples)};
}

Scores allocate_value_scores(device::Workspace& workspace, index_t samples, index_t targets) {
  return {.losses = workspace.allocate<float>(samples),
          .values = tensor::allocate_matrix(workspace, samples, targets)};
}

}  // namespace switchyard::model
