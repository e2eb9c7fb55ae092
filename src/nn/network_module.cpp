#include "nn/network_module.hpp"

namespace switchyard::nn {

// Backward is given the gradient of its output.
Cost NetworkModuleOptions::cost() const {
  const Network without_memory(shape, network);
  Cost cost = without_memory.cost();
  cost.row_floats -= static_cast<double>(without_memory.out_features());
  return cost;
}

tensor::Matrix NetworkModule::forward(const Pass& pass, tensor::ConstMatrix x) {
  pass.clock.enter(phase_);
  Record& record = pass.trace->push<Record>();
  record.batch = pass.batch;
  record.batch.rows = x;
  layers_.forward(pass.with(record.batch), record.network);
  return record.network.output();
}

tensor::Matrix NetworkModule::backward(const Pass& pass, tensor::Matrix d_y, Wants wants) {
  pass.clock.enter(phase_);
  Record& record = pass.trace->pop<Record>();
  last_ = &record;
  const Pass own = pass.with(record.batch);
  layers_.begin_backward(own, record.network, d_y);
  gradient_.backward(own, record.network);
  return wants == Wants::nothing ? tensor::Matrix() : record.network.d_input;
}

void NetworkModule::add_norms(NormTable& table) {
  unit_ = table.units();
  gradient_.add_norms(table);
}

void NetworkModule::add_slices(const NormTable& table, std::vector<ParameterSlice>& all) {
  for (ParameterSlice slice : gradient_.slices()) {
    slice.belong_to(table, unit_);
    all.push_back(slice);
  }
}

void NetworkModule::add_parameters(std::vector<NamedArray>& all) {
  for (index_t l = 0; l < layers_.layer_count(); ++l) {
    for (const Parameter& parameter : layers_.layer(l).parameters())
      all.push_back(
          {layers_.name_of(0, parameter), parameter.shape, parameter.of(0), /*shared=*/true, parameter.role});
  }
}

}  // namespace switchyard::nn
