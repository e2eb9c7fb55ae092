#include "model/model.hpp"

#include "model/mixture.hpp"

namespace switchyard::model {

std::unique_ptr<Model> make_model(const MixtureOptions& options, const Task& task, comm::Resources resources) {
  return std::make_unique<Mixture>(options, task, resources);
}

}  // namespace switchyard::model
