#include "model/head.hpp"

#include <algorithm>
#include <utility>

namespace switchyard::model {
namespace {

template <std::size_t... row>
std::unique_ptr<Head> make_head(const ModelOptions& mixture, index_t classes, std::index_sequence<row...>) {
  std::unique_ptr<Head> head;
  const auto make = [&]<Loss loss>(Of<loss> of) {
    if (loss == mixture.networks.loss) head = make_head(of, mixture, classes);
  };
  (make(Of<head_kinds[row].value>{}), ...);
  return head;
}

}  // namespace

std::unique_ptr<Head> make_head(const ModelOptions& mixture, index_t classes) {
  return make_head(mixture, classes, std::make_index_sequence<head_kinds.size()>{});
}

Scores allocate_scores(device::Workspace& workspace, index_t samples) {
  return {workspace.allocate<float>(samples), workspace.allocate<std::int32_t>(samples)};
}

std::int32_t Head::class_of(const float* row) const {
  return static_cast<std::int32_t>(std::max_element(row, row + outputs_) - row);
}

}  // namespace switchyard::model
