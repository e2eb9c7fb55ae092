#include "optim/optimizer.hpp"

#include <cmath>

#include "ops/update.hpp"

namespace switchyard::optim {

double clip_scale(double norm, double max_norm) {
  return max_norm > 0.0 && norm > max_norm ? max_norm / norm : 1.0;
}

Optimizer::Optimizer(const config::Optim& options, std::vector<nn::ParameterSlice> slices)
    : options_(options), slices_(std::move(slices)), state_names_(state_names().size()) {
  for (const nn::ParameterSlice& slice : slices_) {
    for (std::size_t name = 0; name < state_names_; ++name) states_.emplace_back(slice.count);
  }
}

std::vector<std::string> Optimizer::state_names() const {
  switch (options_.name) {
    case config::OptimizerKind::adam:
      return {"first_moment", "second_moment"};
    case config::OptimizerKind::sgd:
      return options_.momentum > 0 ? std::vector<std::string>{"velocity"} : std::vector<std::string>{};
  }
  return {};
}

void Optimizer::update(device::Context& context, double learning_rate, double gradient_scale, index_t step) {
  const auto count = static_cast<double>(step + 1);
  const ops::AdamStep adam{static_cast<float>(learning_rate),
                           static_cast<float>(options_.beta1),
                           static_cast<float>(options_.beta2),
                           static_cast<float>(options_.epsilon),
                           static_cast<float>(options_.weight_decay),
                           static_cast<float>(gradient_scale),
                           static_cast<float>(1.0 - std::pow(options_.beta1, count)),
                           static_cast<float>(1.0 - std::pow(options_.beta2, count))};
  const ops::SgdStep sgd{static_cast<float>(learning_rate), static_cast<float>(options_.momentum),
                         static_cast<float>(options_.weight_decay), static_cast<float>(gradient_scale)};
  for (std::size_t i = 0; i < slices_.size(); ++i) {
    const auto length = static_cast<std::size_t>(slices_[i].count);
    const std::span<float> value(slices_[i].value, length);
    const std::span<const float> gradient(slices_[i].gradient, length);
    switch (options_.name) {
      case config::OptimizerKind::adam:
        ops::adam_update(context, adam, value, gradient, state(i, 0), state(i, 1));
        break;
      case config::OptimizerKind::sgd:
        ops::sgd_update(context, sgd, value, gradient, state_names_ > 0 ? state(i, 0) : std::span<float>{});
        break;
    }
  }
}

}  // namespace switchyard::optim
