#include "model/model.hpp"

#include "model/mixture.hpp"
#include "model/tokens.hpp"

namespace switchyard::model {

std::unique_ptr<Model> make_model(const ModelOptions& options, const Task& task, comm::Resources resources) {
  switch (options.networks.family) {
    case Family::mixture:
      return std::make_unique<Mixture>(options, task, resources);
    case Family::tokens:
      return std::make_unique<Tokens>(options, task, resources);
  }
  return nullptr;
}

}  // namespace switchyard::model
